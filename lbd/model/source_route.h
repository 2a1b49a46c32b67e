// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lbd/base/ip_prefix.h"
#include "lbd/model/real.h"

namespace lb::model {

// Reals for the clients of some prefixes, in place of the VIP's own: the longest prefix decides.
// They have a ring and flows of their own, in which the VIP's own reals are standby reals.
struct SourceRoute {
  std::string name;
  std::vector<IpPrefix> sources;
  std::vector<Real> reals;

  bool operator==(const SourceRoute&) const = default;
};

}  // namespace lb::model
