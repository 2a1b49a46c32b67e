// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/rendezvous.h"

#include <cstddef>
#include <vector>

#include "lbd/model/clock_matching.h"

namespace lb::model {

Ring RendezvousBuilder::BuildPrimary(std::span<const RingMember> members, int bits) const {
  std::vector<Contender> contenders;
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].weight == 0) continue;
    contenders.push_back({.member = &members[i], .number = static_cast<uint16_t>(i + 1)});
  }
  Ring ring(size_t{1} << bits, 0);
  FillFreeSlots(contenders, ring);
  return ring;
}

}  // namespace lb::model
