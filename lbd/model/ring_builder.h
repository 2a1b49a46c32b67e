// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/model/vip.h"

namespace lb::model {

// One real as the ring sees it.
struct RingMember {
  IpAddress address;    // the identity: equal addresses mean equal positions in every ring
  uint32_t weight = 0;  // 0..kMaxWeight; 0 = owns no slot
  bool usable = true;   // false: down or draining; its slots are lent to the usable members
};

// 2^bits slots; 0 = nobody, n = members[n - 1] of the span that built it.
using Ring = std::vector<uint16_t>;

// Builds consistent-hash tables. Implementations are stateless, deterministic, use integers only,
// and do not depend on the order of the members. Thread-safe.
class RingBuilder {
 public:
  virtual ~RingBuilder() = default;

  // The ring of the configuration alone: `usable` is ignored.
  // Requires distinct addresses and at most kMaxRealsPerVip members.
  virtual Ring BuildPrimary(std::span<const RingMember> members, int bits) const = 0;
};

// The builder of `scheme`, which lives for ever.
const RingBuilder& GetRingBuilder(RingScheme scheme);

// `primary` with the slots of unusable members given to the usable ones, under the same cap; usable
// members keep every slot that they own. A pure function of the members and the set of usable ones.
// Without a usable member of positive weight every slot is 0.
Ring OverlayHealth(const Ring& primary, std::span<const RingMember> members);

}  // namespace lb::model
