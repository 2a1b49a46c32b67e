// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "lbd/model/integer_log.h"
#include "lbd/model/permutation.h"
#include "lbd/model/real_key.h"
#include "lbd/model/wide_multiply.h"
#include "tests/unit/model/ring_testing.h"

namespace lb::model {

// What FillFreeSlots must find, the plain way: every visit of every real to every slot, in the
// order of time, with room for 3 % over the share. Only members with weight that `usable` says may
// get slots.
inline Ring FillByBruteForce(Ring ring, const Members& members, bool all_usable) {
  const auto slots = static_cast<uint32_t>(ring.size());
  const int bits = std::bit_width(slots) - 1;
  uint64_t total = 0;
  for (const RingMember& member : members) {
    if (all_usable || member.usable) total += member.weight;
  }

  std::map<uint16_t, uint64_t> cap;
  std::vector<std::tuple<uint64_t, uint32_t, uint32_t, uint16_t>> visits;
  for (uint16_t number = 1; number <= members.size(); ++number) {
    const RingMember& member = members[number - 1];
    if (member.weight == 0 || !(all_usable || member.usable)) continue;
    RealKey key(member.address);
    const Permutation order(key, bits);
    const uint64_t dither = key.Next() >> 48;
    const auto tie_break = static_cast<uint32_t>(key.Next());
    const uint64_t fair = (uint64_t{slots} * member.weight + total - 1) / total;
    const uint64_t widened = (uint64_t{103} * slots * member.weight << 16) / (100 * total);
    cap[number] = std::max(fair, (widened + dither) >> 16);
    for (uint32_t r = 0; r < slots; ++r) {
      const uint64_t clock = IntegerLog(2 * slots) - IntegerLog(2 * slots - 2 * r - 1);
      const uint32_t slot = order(r);
      visits.emplace_back(MultiplyHigh(clock, ~uint64_t{0} / member.weight),
                          (tie_break ^ slot * 0x9e3779b1u) >> 1, slot, number);
    }
  }
  std::ranges::sort(visits);

  std::map<uint16_t, uint64_t> owned;
  for (uint16_t number : ring) ++owned[number];
  for (const auto& [time, tie, slot, number] : visits) {
    if (ring[slot] != 0 || owned[number] >= cap[number]) continue;
    ring[slot] = number;
    ++owned[number];
  }
  return ring;
}

}  // namespace lb::model
