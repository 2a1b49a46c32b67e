// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "lbd/base/ip_prefix.h"

namespace lb::model {

// New connections per second. A token bucket that holds `burst`.
struct RateLimit {
  uint32_t per_second = 0;  // 0: no limit
  uint32_t burst = 0;       // at once; 0: as many as in a second

  uint32_t effective_burst() const { return burst != 0 ? burst : per_second; }
  bool operator==(const RateLimit&) const = default;
};

// Whom a VIP serves. The longest of all prefixes that a source belongs to decides; a source on no
// list is served where `allow` is empty.
struct SourcePolicy {
  std::vector<IpPrefix> allow;
  std::vector<IpPrefix> deny;
  RateLimit new_flows;             // of all sources together
  RateLimit new_flows_per_source;  // of one IPv4 address or IPv6 /64

  bool empty() const { return *this == SourcePolicy(); }
  bool operator==(const SourcePolicy&) const = default;
};

}  // namespace lb::model
