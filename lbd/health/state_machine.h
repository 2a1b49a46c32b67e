// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "lbd/health/time.h"
#include "lbd/model/check.h"

namespace lb::health {

enum class State : uint8_t {
  kUnknown,  // not probed yet: not used
  kUp,
  kDown,
};

std::string_view ToString(State state);  // "unknown", "up", "down"

// Whether a real is up by one check: rise and fall, damping of flaps, and how soon to look again.
// Pure: time is what it is told. Thread-compatible.
class StateMachine {
 public:
  StateMachine(const model::CheckTiming& timing, State initial)
      : timing_(timing), state_(initial) {}

  // These return whether the state changed. The first result of all decides alone.
  bool OnSuccess(Time now);
  bool OnFailure(Time now);

  State state() const { return state_; }
  uint32_t successes() const { return successes_; }  // in a row
  uint32_t failures() const { return failures_; }
  // Successes in a row that are asked for now.
  uint32_t rise(Time now) const;
  // From the start of the last probe to that of the next.
  Duration Interval() const;
  // Goes on by another timing.
  void SetTiming(const model::CheckTiming& timing) { timing_ = timing; }

 private:
  // From so many failures in a row on, a dead real is probed less and less.
  static constexpr uint32_t kLongDead = 30;
  // It is forgotten after this that a real went down once.
  static constexpr Duration kFlapMemory = std::chrono::minutes(5);
  // So many times it may go down before more successes are asked.
  static constexpr uint32_t kFreeFlaps = 2;
  static constexpr uint32_t kMaxDamping = 4;  // doublings

  uint32_t FlapsAt(Time now) const;

  model::CheckTiming timing_;
  State state_;
  uint32_t successes_ = 0;
  uint32_t failures_ = 0;
  uint32_t flaps_ = 0;  // remembered at flaps_at_
  Time flaps_at_;
};

}  // namespace lb::health
