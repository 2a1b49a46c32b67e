// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "lbd/base/status.h"
#include "lbd/health/plan.h"
#include "lbd/health/report.h"

namespace lb::health {

// Finds out which reals serve. Thread-safe but for SetListener().
class Checker {
 public:
  using Listener = std::function<void(const Transition&)>;

  virtual ~Checker() = default;

  // Is called, on a thread of the checker's own, whenever a real becomes up or down. To be set
  // before the first plan.
  virtual void SetListener(Listener listener) = 0;
  // Whether this host can probe as `plan` says. FAILED_PRECONDITION says what is missing.
  virtual Status Supports(const Plan& plan) const = 0;
  // From now on probes as `plan` says, with the network as last set.
  virtual void SetPlan(Plan plan) = 0;
  virtual void SetNetwork(Network network) = 0;
  virtual Report MakeReport(const Scope& scope) = 0;
};

}  // namespace lb::health
