// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/model/config.h"

namespace lb::model {

// One thing that is wrong with a configuration.
struct Problem {
  std::string path;     // "vips[3].reals[0].weight"; empty: the whole document
  std::string message;  // "must be 0..1000000, got -1"

  std::string ToString() const;
  bool operator==(const Problem&) const = default;
};

// Everything that is wrong with `config`; empty = it can be applied, as far as the configuration
// alone can tell.
std::vector<Problem> Validate(const Config& config);
// The same where `config` was good before some of its VIPs were changed or added: by themselves
// only these can be wrong.
std::vector<Problem> ValidateChanged(const Config& config, const std::set<VipKey>& changed);

// OK, or INVALID_ARGUMENT with one problem a line, 50 at most.
Status ToStatus(const std::vector<Problem>& problems);

}  // namespace lb::model
