// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/model/change.h"
#include "lbd/model/config.h"

namespace lb::control {

// A configuration in the making: one that is in force, with changes made one after the other.
// Thread-compatible.
class Draft {
 public:
  explicit Draft(const model::Config& before) : config_(before) {}

  // Makes `change`, which lives as long as this, and returns what it changed, one line an object. A
  // change that cannot be made leaves the draft as it was. Of a change that replaces everything no
  // lines are told.
  StatusOr<std::vector<std::string>> Make(const model::Change& change);
  // Whether the configuration is good.
  Status Check() const { return model::Check(config_, *last_, touched_); }

  const model::Config& config() const { return config_; }
  // The VIPs that were changed, added or deleted; empty: any may be.
  const std::optional<std::set<model::VipKey>>& touched() const { return touched_; }

 private:
  model::Config config_;
  const model::Change* last_ = nullptr;
  std::optional<std::set<model::VipKey>> touched_ = std::set<model::VipKey>();
};

}  // namespace lb::control
