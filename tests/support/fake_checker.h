// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "lbd/health/checker.h"

namespace lb::testing {

// Probes nothing: it remembers what it was told, and reports what it is told. Not to be touched
// while the controller works.
class FakeChecker final : public health::Checker {
 public:
  void SetListener(Listener listener) override { tell = std::move(listener); }
  Status Supports(const health::Plan& /*plan*/) const override { return supports; }
  void SetPlan(health::Plan plan) override { plans.push_back(std::move(plan)); }
  void SetNetwork(health::Network network) override { networks.push_back(std::move(network)); }
  health::Report MakeReport(const health::Scope& scope) override {
    scopes.push_back(scope);
    return report;
  }

  Listener tell;
  Status supports;
  std::vector<health::Plan> plans;
  std::vector<health::Network> networks;
  std::vector<health::Scope> scopes;  // of the reports that were asked for
  health::Report report;
};

}  // namespace lb::testing
