// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <vector>

#include "lbd/model/clock_matching.h"
#include "lbd/model/ring_builder.h"

namespace lb::model {

Ring OverlayHealth(const Ring& primary, std::span<const RingMember> members) {
  std::vector<uint32_t> owned(members.size() + 1, 0);
  for (uint16_t number : primary) ++owned[number];

  std::vector<Contender> contenders;
  std::vector<bool> keeps(members.size() + 1, false);
  for (size_t i = 0; i < members.size(); ++i) {
    if (!members[i].usable || members[i].weight == 0) continue;
    contenders.push_back(
        {.member = &members[i], .number = static_cast<uint16_t>(i + 1), .owned = owned[i + 1]});
    keeps[i + 1] = true;
  }

  Ring ring = primary;
  for (uint16_t& number : ring) {
    if (!keeps[number]) number = 0;
  }
  FillFreeSlots(contenders, ring);
  return ring;
}

}  // namespace lb::model
