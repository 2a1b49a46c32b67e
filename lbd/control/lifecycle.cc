// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/lifecycle.h"

#include <algorithm>

namespace lb::control {

using model::RealState;
using std::chrono::seconds;

int Lifecycle::Start::StepAt(TimePoint now) const {
  if (now >= since + length) return kSteps;
  return 1 + static_cast<int>((now - since) * kSteps / length);
}

void Lifecycle::Update(const model::Config& before, const model::Config& after, TimePoint now) {
  std::map<RealId, Start> starts;
  std::map<RealId, TimePoint> deadlines;
  for (const model::Vip& vip : after.vips) {
    const bool drains = std::ranges::any_of(vip.reals, [](const model::Real& real) {
      return real.state == RealState::kDraining && real.drain;
    });
    if (vip.slow_start == 0 && !drains) continue;
    const model::Vip* vip_before = before.FindVip(vip.key);
    for (const model::Real& real : vip.reals) {
      const RealId id{vip.key, real.address};
      const auto find_before = [&] {
        return vip_before != nullptr ? vip_before->FindReal(real.address) : nullptr;
      };
      if (real.state == RealState::kActive && vip.slow_start > 0 && vip_before != nullptr) {
        const model::Real* was = find_before();
        const bool returns = was == nullptr || was->state != RealState::kActive;
        const auto running = starts_.find(id);
        if (returns) {
          starts[id] = {now, seconds(vip.slow_start)};
        } else if (running != starts_.end()) {
          starts[id] = {running->second.since, seconds(vip.slow_start)};
        }
      }
      if (real.state == RealState::kDraining && real.drain) {
        const model::Real* was = find_before();
        const bool same = was != nullptr && was->state == real.state && was->drain == real.drain;
        const auto running = deadlines_.find(id);
        if (!same) {
          deadlines[id] = now + seconds(*real.drain);
        } else if (running != deadlines_.end()) {
          deadlines[id] = running->second;
        }
      }
    }
  }
  starts_ = std::move(starts);
  deadlines_ = std::move(deadlines);
}

void Lifecycle::Return(const model::Vip& vip, const IpAddress& real, TimePoint now) {
  if (vip.slow_start > 0) starts_[{vip.key, real}] = {now, seconds(vip.slow_start)};
}

bool Lifecycle::Starts(const model::VipKey& vip) const {
  const auto first = starts_.lower_bound({vip, IpAddress()});
  return first != starts_.end() && first->first.first == vip;
}

model::Vip Lifecycle::Effective(const model::Vip& vip, TimePoint now) const {
  model::Vip effective = vip;
  for (model::Real& real : effective.reals) {
    const auto start = starts_.find({vip.key, real.address});
    if (start == starts_.end() || real.weight == 0) continue;
    const uint64_t weight = uint64_t{real.weight} * start->second.StepAt(now) / kSteps;
    real.weight = std::max<uint32_t>(1, weight);
  }
  return effective;
}

std::vector<Lifecycle::RealId> Lifecycle::TakeDrained(TimePoint now) {
  std::vector<RealId> drained;
  std::erase_if(deadlines_, [&](const auto& item) {
    if (item.second > now) return false;
    drained.push_back(item.first);
    return true;
  });
  return drained;
}

std::optional<Lifecycle::TimePoint> Lifecycle::Next(TimePoint now) {
  std::erase_if(starts_, [&](const auto& item) { return item.second.StepAt(now) == kSteps; });
  std::optional<TimePoint> next;
  const auto consider = [&](TimePoint at) { next = next ? std::min(*next, at) : at; };
  for (const auto& [id, start] : starts_) {
    consider(start.since + TimePoint::duration(start.length) * start.StepAt(now) / kSteps);
  }
  for (const auto& [id, deadline] : deadlines_) consider(deadline);
  return next;
}

}  // namespace lb::control
