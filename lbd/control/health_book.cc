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
  std::set<RealId> served;
  for (const auto& [key, real] : serving) served.insert(IdOf(key, real));
  const HealthBook before = *this;
  probing_ = config.probes.mode == model::HealthMode::kAfXdp;
  vips_.clear();
  warming_.clear();
  for (const model::Vip& vip : config.vips) Take(vip, before, served, now);
  std::erase_if(overridden_, [this](const RealId& id) { return Find(id) == nullptr; });
}

void HealthBook::UpdateVips(const model::Config& config, TimePoint now,
                            const std::set<model::VipKey>& touched) {
  const HealthBook before = *this;
  for (const model::VipKey& key : touched) {
    vips_.erase(key);
    warming_.erase(key);
    if (const model::Vip* vip = config.FindVip(key)) Take(*vip, before, {}, now);
  }
  std::erase_if(overridden_, [this](const RealId& id) { return Find(id) == nullptr; });
}

void HealthBook::Take(const model::Vip& vip, const HealthBook& before,
                      const std::set<RealId>& served, TimePoint now) {
  const bool checked = probing_ && !vip.checks.empty();
  bool fresh = checked;
  auto reals = std::make_shared<Reals>();
  for (const model::Real& real : vip.AllReals()) {
    const RealId id{vip.key, real.address};
    const Entry* known = before.Find(id);
    Entry entry;
    if (known != nullptr) entry = *known;
    if (!checked) {
      entry.state = State::kUp;
      entry.reason.clear();
    } else if (known == nullptr) {
      entry.state = served.contains(id) ? State::kUp : State::kUnknown;
    }
    fresh = fresh && known == nullptr && entry.state == State::kUnknown;
    reals->emplace(real.address, std::move(entry));
  }
  vips_[vip.key] = std::move(reals);
  const auto waits = before.warming_.find(vip.key);
  if (checked && waits != before.warming_.end()) warming_.insert(*waits);
  if (fresh) warming_.emplace(vip.key, now + kWarmUp);
}

HealthBook::Entry& HealthBook::Change(const RealId& id) {
  std::shared_ptr<const Reals>& reals = vips_.at(id.first);
  auto changed = std::make_shared<Reals>(*reals);
  Entry& entry = changed->at(id.second);
  reals = std::move(changed);
  return entry;
}

bool HealthBook::AllSettled(const model::VipKey& vip) const {
  return std::ranges::none_of(*vips_.at(vip), [](const auto& item) {
    return item.second.state == State::kUnknown && !item.second.override_;
  });
}

bool HealthBook::Note(const health::Transition& transition) {
  const RealId id{transition.vip, transition.real};
  const Entry* known = Find(id);
  // A check that was taken away meanwhile may still have had its say.
  if (known == nullptr || !probing_) return false;
  const State state = transition.up ? State::kUp : State::kDown;
  if (known->state == state) return false;
  Entry& entry = Change(id);
  entry.state = state;
  entry.reason = transition.reason;
  if (AllSettled(transition.vip)) warming_.erase(transition.vip);
  return true;
}

Status HealthBook::SetOverride(const RealId& id, const std::optional<Override>& value) {
  if (Find(id) == nullptr) {
    return NotFound(
        fmt::format("VIP {} has no real {}", id.first.ToString(), id.second.ToString()));
  }
  Change(id).override_ = value;
  if (value) {
    overridden_.insert(id);
  } else {
    overridden_.erase(id);
  }
  if (AllSettled(id.first)) warming_.erase(id.first);
  return OkStatus();
}

std::vector<HealthBook::RealId> HealthBook::TakeExpired(TimePoint now) {
  std::vector<RealId> expired;
  for (const RealId& id : overridden_) {
    const std::optional<TimePoint>& until = Find(id)->override_->until;
    if (until && *until <= now) expired.push_back(id);
  }
  for (const RealId& id : expired) {
    Change(id).override_.reset();
    overridden_.erase(id);
  }
  std::erase_if(warming_, [&](const auto& waits) { return waits.second <= now; });
  return expired;
}

std::optional<HealthBook::TimePoint> HealthBook::NextExpiry() const {
  std::optional<TimePoint> next;
  const auto consider = [&](TimePoint at) { next = next ? std::min(*next, at) : at; };
  for (const RealId& id : overridden_) {
    if (const auto& until = Find(id)->override_->until) consider(*until);
  }
  for (const auto& [vip, until] : warming_) consider(until);
  return next;
}

const HealthBook::Entry* HealthBook::Find(const RealId& id) const {
  const auto vip = vips_.find(id.first);
  if (vip == vips_.end()) return nullptr;
  const auto entry = vip->second->find(id.second);
  return entry == vip->second->end() ? nullptr : &entry->second;
}

std::set<IpAddress> HealthBook::Down(const model::Vip& vip) const {
  std::set<IpAddress> down;
  if (!probing_ && overridden_.empty()) return down;
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
  standing.starting = warming_.contains(IdOf(vip.key, {}).first);
  standing.failed_open = vip.health.fail_open && (standing.starting || !standing.up);
  return standing;
}

std::set<IpAddress> HealthBook::Sick(const model::Vip& vip) const {
  std::set<IpAddress> sick = Down(vip);
  const auto is_overridden = [&](const IpAddress& real) {
    const Entry* entry = Find(IdOf(vip.key, real));
    return entry != nullptr && entry->override_.has_value();
  };
  if (vip.health.fail_open && StandingOf(vip).failed_open) {
    // What an operator has forced down stays down.
    std::erase_if(sick, [&](const IpAddress& real) { return !is_overridden(real); });
  } else if (warming_.contains(IdOf(vip.key, {}).first)) {
    for (const model::Real& real : vip.reals) {
      if (!is_overridden(real.address)) sick.insert(real.address);
    }
  }
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
