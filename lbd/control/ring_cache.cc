// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/ring_cache.h"

#include <algorithm>

namespace lb::control {

std::shared_ptr<const model::Ring> RingCache::Get(const model::Vip& vip,
                                                  const std::set<IpAddress>& sick) {
  Input input{.scheme = vip.ring.scheme, .bits = model::RingBits(vip), .members = {}};
  const auto serves = [&](const model::Real& real) {
    return real.state == model::RealState::kActive && real.weight > 0 &&
           !sick.contains(real.address);
  };
  const bool any = std::ranges::any_of(vip.reals, serves);
  for (const model::Real& real : vip.reals) {
    const bool standby = real.state == model::RealState::kStandby;
    const bool wanted = standby ? !any : real.state == model::RealState::kActive;
    const bool usable = wanted && !sick.contains(real.address);
    input.members.push_back({real.address, real.weight, usable, standby});
  }
  return Build(input).ring;
}

const RingCache::Entry& RingCache::Build(const Input& input) {
  Entry& entry = rings_[input];
  if (entry.ring != nullptr) return entry;
  std::vector<model::RingMember> members;
  members.reserve(input.members.size());
  for (const Member& member : input.members) {
    members.push_back({member.address, member.weight, member.usable});
  }
  if (std::ranges::all_of(input.members, &Member::usable)) {
    entry.ring = std::make_shared<const model::Ring>(
        model::GetRingBuilder(input.scheme).BuildPrimary(members, input.bits));
    return entry;
  }
  // Standby reals own no slots, they only borrow them.
  Input primary = input;
  for (Member& member : primary.members) {
    if (member.standby) member.weight = 0;
    member.usable = true;
    member.standby = false;
  }
  entry.primary = Build(primary).ring;
  entry.ring = std::make_shared<const model::Ring>(model::OverlayHealth(*entry.primary, members));
  return entry;
}

void RingCache::Trim() {
  for (const bool primary : {false, true}) {
    std::erase_if(rings_, [&](const auto& item) {
      const Entry& entry = item.second;
      return (entry.primary == nullptr) == primary && entry.ring.use_count() == 1;
    });
  }
}

}  // namespace lb::control
