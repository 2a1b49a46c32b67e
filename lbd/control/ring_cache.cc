// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/ring_cache.h"

#include <algorithm>

namespace lb::control {

std::shared_ptr<const model::Ring> RingCache::Get(const model::Vip& vip) {
  Input input{.scheme = vip.ring.scheme, .bits = model::RingBits(vip), .members = {}};
  for (const model::Real& real : vip.reals) {
    input.members.push_back(
        {real.address, real.weight, real.admin_state == model::AdminState::kUp});
  }
  return Build(input).ring;
}

const RingCache::Entry& RingCache::Build(const Input& input) {
  Entry& entry = rings_[input];
  entry.used = true;
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
  Input primary = input;
  for (Member& member : primary.members) member.usable = true;
  entry.ring =
      std::make_shared<const model::Ring>(model::OverlayHealth(*Build(primary).ring, members));
  return entry;
}

void RingCache::Trim() {
  std::erase_if(rings_, [](const auto& item) { return !item.second.used; });
  for (auto& [input, entry] : rings_) entry.used = false;
}

}  // namespace lb::control
