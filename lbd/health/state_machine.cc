// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/state_machine.h"

#include <algorithm>

namespace lb::health {

using std::chrono::milliseconds;

std::string_view ToString(State state) {
  switch (state) {
    case State::kUnknown:
      return "unknown";
    case State::kUp:
      return "up";
    case State::kDown:
      return "down";
  }
  return "?";
}

uint32_t StateMachine::FlapsAt(Time now) const {
  const auto forgotten = (now - flaps_at_) / kFlapMemory;
  return forgotten >= flaps_ ? 0 : flaps_ - static_cast<uint32_t>(forgotten);
}

uint32_t StateMachine::rise(Time now) const {
  const uint32_t flaps = FlapsAt(now);
  if (!timing_.damping || flaps <= kFreeFlaps) return timing_.rise;
  return timing_.rise << std::min(flaps - kFreeFlaps, kMaxDamping);
}

bool StateMachine::OnSuccess(Time now) {
  failures_ = 0;
  ++successes_;
  if (state_ == State::kUp) return false;
  if (state_ == State::kDown && successes_ < rise(now)) return false;
  state_ = State::kUp;
  return true;
}

bool StateMachine::OnFailure(Time now) {
  successes_ = 0;
  ++failures_;
  if (state_ == State::kDown) return false;
  if (state_ == State::kUp) {
    if (failures_ < timing_.fall) return false;
    flaps_ = FlapsAt(now) + 1;
    flaps_at_ = now;
  }
  state_ = State::kDown;
  return true;
}

Duration StateMachine::Interval() const {
  const bool undecided = state_ == State::kUnknown || (state_ == State::kUp && failures_ > 0) ||
                         (state_ == State::kDown && successes_ > 0);
  if (undecided) return milliseconds(timing_.fast_interval());
  if (state_ == State::kUp || failures_ < kLongDead) return milliseconds(timing_.interval_ms);
  const uint64_t doubled = uint64_t{timing_.interval_ms}
                           << std::min(failures_ - kLongDead + 1, 20u);
  return milliseconds(std::min<uint64_t>(doubled, timing_.max_interval()));
}

}  // namespace lb::health
