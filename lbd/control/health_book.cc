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

void HealthBook::Update(const model::Config& config, const std::set<RealId>& serving) {
  probing_ = config.probes.mode == model::HealthMode::kAfXdp;
  std::set<RealId> served;
  for (const auto& [key, real] : serving) served.insert(IdOf(key, real));
  std::map<RealId, Entry> entries;
  for (const model::Vip& vip : config.vips) {
    const bool checked = probing_ && !vip.checks.empty();
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
      entries.emplace(id, std::move(entry));
    }
  }
  entries_ = std::move(entries);
}

bool HealthBook::Note(const health::Transition& transition) {
  const auto entry = entries_.find({transition.vip, transition.real});
  // A check that was taken away meanwhile may still have had its say.
  if (entry == entries_.end() || !probing_) return false;
  const State state = transition.up ? State::kUp : State::kDown;
  if (entry->second.state == state) return false;
  entry->second.state = state;
  entry->second.reason = transition.reason;
  return true;
}

Status HealthBook::SetOverride(const RealId& id, const std::optional<Override>& value) {
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) {
    return NotFound(
        fmt::format("VIP {} has no real {}", id.first.ToString(), id.second.ToString()));
  }
  entry->second.override_ = value;
  return OkStatus();
}

std::vector<HealthBook::RealId> HealthBook::TakeExpired(TimePoint now) {
  std::vector<RealId> expired;
  for (auto& [id, entry] : entries_) {
    if (!entry.override_ || !entry.override_->until || *entry.override_->until > now) continue;
    entry.override_.reset();
    expired.push_back(id);
  }
  return expired;
}

std::optional<HealthBook::TimePoint> HealthBook::NextExpiry() const {
  std::optional<TimePoint> next;
  for (const auto& [id, entry] : entries_) {
    if (!entry.override_ || !entry.override_->until) continue;
    next = next ? std::min(*next, *entry.override_->until) : entry.override_->until;
  }
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

HealthBook::Standing HealthBook::StandingOf(const model::Vip& vip) const {
  const std::set<IpAddress> down = Down(vip);
  Standing standing;
  for (const model::Real& real : vip.reals) {
    const bool wanted =
        real.state == model::RealState::kActive || real.state == model::RealState::kStandby;
    standing.healthy += wanted && real.weight > 0 && !down.contains(real.address);
  }
  standing.up = standing.healthy >= vip.health.min_healthy;
  standing.failed_open = !standing.up && vip.health.fail_open;
  return standing;
}

std::set<IpAddress> HealthBook::Sick(const model::Vip& vip) const {
  std::set<IpAddress> sick = Down(vip);
  if (sick.empty() || !StandingOf(vip).failed_open) return sick;
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
