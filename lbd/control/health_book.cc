// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/health_book.h"

#include <fmt/format.h>

#include <algorithm>

namespace lb::control {

using health::State;

namespace {

// Whatever source route of the VIP it is known by.
HealthBook::RealId IdOf(model::VipKey key, const IpAddress& real) {
  key.route = 0;
  return {key, real};
}

}  // namespace

void HealthBook::Update(const model::Config& config, TimePoint now,
                        const std::set<RealId>& serving) {
  probing_ = config.probes.mode == model::HealthMode::kAfXdp;
  std::set<RealId> served;
  for (const auto& [key, real] : serving) served.insert(IdOf(key, real));
  std::map<RealId, Entry> entries;
  std::map<model::VipKey, TimePoint> warming;
  for (const model::Vip& vip : config.vips) {
    const bool checked = probing_ && !vip.checks.empty();
    bool fresh = checked;
    for (const model::Real& real : vip.AllReals()) {
      const RealId id{vip.key, real.address};
      const auto known = entries_.find(id);
      Entry entry;
      if (known != entries_.end()) entry = known->second;
      if (!checked) {
        entry.state = State::kUp;
        entry.reason.clear();
      } else if (known == entries_.end()) {
        entry.state = served.contains(id) ? State::kUp : State::kUnknown;
      }
      fresh = fresh && known == entries_.end() && entry.state == State::kUnknown;
      entries.emplace(id, std::move(entry));
    }
    const auto waits = warming_.find(vip.key);
    if (checked && waits != warming_.end()) warming.insert(*waits);
    if (fresh) warming.emplace(vip.key, now + kWarmUp);
  }
  entries_ = std::move(entries);
  warming_ = std::move(warming);
}

bool HealthBook::AllSettled(const model::VipKey& vip) const {
  for (auto entry = entries_.lower_bound({vip, IpAddress()});
       entry != entries_.end() && entry->first.first == vip; ++entry) {
    if (entry->second.state == State::kUnknown && !entry->second.override_) return false;
  }
  return true;
}

bool HealthBook::Note(const health::Transition& transition) {
  const auto entry = entries_.find({transition.vip, transition.real});
  // A check that was taken away meanwhile may still have had its say.
  if (entry == entries_.end() || !probing_) return false;
  const State state = transition.up ? State::kUp : State::kDown;
  if (entry->second.state == state) return false;
  entry->second.state = state;
  entry->second.reason = transition.reason;
  if (AllSettled(transition.vip)) warming_.erase(transition.vip);
  return true;
}

Status HealthBook::SetOverride(const RealId& id, const std::optional<Override>& value) {
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) {
    return NotFound(
        fmt::format("VIP {} has no real {}", id.first.ToString(), id.second.ToString()));
  }
  entry->second.override_ = value;
  if (AllSettled(id.first)) warming_.erase(id.first);
  return OkStatus();
}

std::vector<HealthBook::RealId> HealthBook::TakeExpired(TimePoint now) {
  std::vector<RealId> expired;
  for (auto& [id, entry] : entries_) {
    if (!entry.override_ || !entry.override_->until || *entry.override_->until > now) continue;
    entry.override_.reset();
    expired.push_back(id);
  }
  std::erase_if(warming_, [&](const auto& waits) { return waits.second <= now; });
  return expired;
}

std::optional<HealthBook::TimePoint> HealthBook::NextExpiry() const {
  std::optional<TimePoint> next;
  for (const auto& [id, entry] : entries_) {
    if (!entry.override_ || !entry.override_->until) continue;
    next = next ? std::min(*next, *entry.override_->until) : entry.override_->until;
  }
  for (const auto& [vip, until] : warming_) next = next ? std::min(*next, until) : until;
  return next;
}

const HealthBook::Entry* HealthBook::Find(const RealId& id) const {
  const auto entry = entries_.find(id);
  return entry == entries_.end() ? nullptr : &entry->second;
}

std::set<IpAddress> HealthBook::Down(const model::Vip& vip) const {
  std::set<IpAddress> down;
  for (const model::Real& real : vip.reals) {
    const Entry* entry = Find(IdOf(vip.key, real.address));
    if (entry != nullptr && !entry->up()) down.insert(real.address);
  }
  return down;
}

bool HealthBook::IsWarming(const model::Vip& vip) const {
  return warming_.contains(IdOf(vip.key, {}).first);
}

HealthBook::Standing HealthBook::StandingOf(const model::Vip& vip) const {
  const std::set<IpAddress> down = Down(vip);
  Standing standing;
  for (const model::Real& real : vip.reals) {
    const bool wanted =
        real.state == model::RealState::kActive || real.state == model::RealState::kStandby;
    standing.healthy += wanted && real.weight > 0 && !down.contains(real.address);
  }
  standing.up = standing.healthy >= vip.health.min_healthy && !IsWarming(vip);
  standing.failed_open = !standing.up && vip.health.fail_open;
  return standing;
}

std::set<IpAddress> HealthBook::Sick(const model::Vip& vip) const {
  std::set<IpAddress> sick = Down(vip);
  const bool warming = IsWarming(vip);
  if (sick.empty() && !warming) return sick;
  if (!StandingOf(vip).failed_open) {
    if (!warming) return sick;
    for (const model::Real& real : vip.reals) {
      const Entry* entry = Find(IdOf(vip.key, real.address));
      if (entry != nullptr && !entry->override_) sick.insert(real.address);
    }
    return sick;
  }
  // What an operator has forced down stays down.
  std::erase_if(sick, [&](const IpAddress& real) {
    return !Find(IdOf(vip.key, real))->override_.has_value();
  });
  return sick;
}

health::Plan HealthBook::MakePlan(const model::Config& config) const {
  health::Plan plan{.settings = config.probes,
                    .dataplane_source_v4 = config.settings.outer_source_v4,
                    .dataplane_source_v6 = config.settings.outer_source_v6,
                    .gue_port = config.settings.gue_port,
                    .vips = {}};
  if (!config.probing()) return plan;
  for (const model::Vip& vip : config.vips) {
    if (vip.checks.empty()) continue;
    health::PlannedVip& planned = plan.vips.emplace_back();
    planned.key = vip.key;
    planned.checks = vip.checks;
    for (const model::Real& real : vip.AllReals()) {
      const Entry* entry = Find({vip.key, real.address});
      planned.reals.push_back({.address = real.address,
                               .initial = entry != nullptr ? entry->state : State::kUnknown,
                               .encap = real.encap});
    }
  }
  return plan;
}

}  // namespace lb::control
