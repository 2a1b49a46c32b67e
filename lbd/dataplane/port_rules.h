// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "lbd/model/vip.h"

namespace lb::dataplane {

// Packets to these ports belong to this VIP.
struct PortRule {
  uint16_t first = 0;
  uint16_t last = 0;
  model::VipKey vip;

  bool operator==(const PortRule&) const = default;
};

// Whom packets to the addresses of a prefix belong to, unless there is a scope of a longer prefix.
struct Scope {
  IpPrefix prefix;
  uint8_t protocol = 0;         // 0: some VIP has these addresses, whatever the protocol
  std::vector<PortRule> rules;  // disjoint, in ascending order, complete

  bool operator==(const Scope&) const = default;
};

// What the program has to search where the VIP of one address and one port was not found. VIPs of
// one address and every port are not in the rules: they come after them. For addresses that have
// one, rules stop where it begins.
std::vector<Scope> MakeScopes(const std::set<model::VipKey>& vips);

}  // namespace lb::dataplane
