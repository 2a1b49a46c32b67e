// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "lbd/health/plan.h"
#include "lbd/health/report.h"
#include "lbd/model/config.h"

namespace lb::control {

// What is known about the health of reals, and what follows for their VIPs. Copies share the VIPs
// that do not differ. Thread-compatible.
class HealthBook {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using RealId = std::pair<model::VipKey, IpAddress>;

  // What an operator has decided, whatever the checks say.
  struct Override {
    bool up = false;
    std::optional<TimePoint> until;  // empty: until it is taken back
    bool operator==(const Override&) const = default;
  };
  struct Entry {
    health::State state = health::State::kUnknown;  // by the checks
    std::string reason;
    std::optional<Override> override_;

    bool up() const { return override_ ? override_->up : state == health::State::kUp; }
    bool operator==(const Entry&) const = default;
  };
  // How a VIP stands.
  struct Standing {
    uint32_t healthy = 0;   // reals that are active or standby, of positive weight, and up
    bool up = true;         // at least as many as it needs
    bool starting = false;  // not yet: each real is probed first
    bool failed_open = false;
    bool operator==(const Standing&) const = default;
  };

  // A VIP whose reals are all new starts when each of them was probed, or after so long. The first
  // that passes would have to take everything, and nearly all slots would change hands soon after.
  static constexpr std::chrono::seconds kWarmUp{5};

  // The configuration has changed at `now`. Reals that served without being checked, or by an lbd
  // before this one (`serving`), count as up until their checks say something else; new ones have
  // to pass first. A source route asks the same of its reals as its VIP, under whose key they are.
  void Update(const model::Config& config, TimePoint now, const std::set<RealId>& serving = {});
  // The same where no more than these VIPs differ from the configuration before.
  void UpdateVips(const model::Config& config, TimePoint now,
                  const std::set<model::VipKey>& touched);
  // False where that is no news.
  bool Note(const health::Transition& transition);
  // Empty: takes the override back. NOT_FOUND where there is no such real.
  Status SetOverride(const RealId& id, const std::optional<Override>& value);
  // Takes back the overrides whose time is over, and tells which; ends waiting that is over.
  std::vector<RealId> TakeExpired(TimePoint now);
  // When there will be something to take.
  std::optional<TimePoint> NextExpiry() const;

  // The reals of `vip`, which may be a source route, that are not to be used.
  std::set<IpAddress> Sick(const model::Vip& vip) const;
  Standing StandingOf(const model::Vip& vip) const;
  // Null: there is no such real.
  const Entry* Find(const RealId& id) const;
  // What is to be probed for `config`.
  health::Plan MakePlan(const model::Config& config) const;

 private:
  using Reals = std::map<IpAddress, Entry>;

  // Takes what `before` knew of the reals of `vip`, and adds those that are new.
  void Take(const model::Vip& vip, const HealthBook& before, const std::set<RealId>& served,
            TimePoint now);
  // The entry of `id`, which is there, to be changed.
  Entry& Change(const RealId& id);
  std::set<IpAddress> Down(const model::Vip& vip) const;
  // Whether each real of the VIP was probed, or an operator has decided.
  bool AllSettled(const model::VipKey& vip) const;

  bool probing_ = false;
  std::map<model::VipKey, TimePoint>
      warming_;  // until when, those that wait for their first probes
  std::map<model::VipKey, std::shared_ptr<const Reals>> vips_;  // all of the configuration
  std::set<RealId> overridden_;
};

}  // namespace lb::control
