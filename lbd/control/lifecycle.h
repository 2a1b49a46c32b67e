// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "lbd/model/config.h"

namespace lb::control {

// What time alone does to reals: weights that grow (slow start) and drains that come to their end.
// Thread-compatible.
class Lifecycle {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using RealId = std::pair<model::VipKey, IpAddress>;

  // The configuration has changed. A real that becomes active, or is new in a VIP that was there,
  // starts slowly; one that starts draining with a deadline has it from now on.
  void Update(const model::Config& before, const model::Config& after, TimePoint now);

  // A real that had failed its checks serves again: it starts slowly, too.
  void Return(const model::Vip& vip, const IpAddress& real, TimePoint now);

  // Whether a real of the VIP is starting.
  bool Starts(const model::VipKey& vip) const;
  // `vip` with the weights of this moment.
  model::Vip Effective(const model::Vip& vip, TimePoint now) const;
  // The drains whose deadline has passed; each is told once.
  std::vector<RealId> TakeDrained(TimePoint now);
  // When one of the above is another next; empty: never.
  std::optional<TimePoint> Next(TimePoint now);

 private:
  // Weights grow in this many steps, each of which moves some slots.
  static constexpr int kSteps = 10;

  struct Start {
    TimePoint since;
    std::chrono::seconds length;

    int StepAt(TimePoint now) const;  // 1..kSteps
  };

  std::map<RealId, Start> starts_;
  std::map<RealId, TimePoint> deadlines_;
};

}  // namespace lb::control
