// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "lbd/health/time.h"

namespace lb::health {

// When probes start: evenly over their interval, each a little different every time, so that they
// neither come in bursts nor keep step with anything. Thread-compatible.
class Scheduler {
 public:
  explicit Scheduler(uint64_t seed) : state_(seed) {}

  // The first probe of one of `count` new tasks: within the interval, and for few tasks as soon as
  // a thousand a second allows.
  Duration First(Duration interval, size_t count) {
    const Duration spread = std::min<Duration>(interval, std::chrono::milliseconds(count));
    return spread * static_cast<int64_t>(Random() % kParts) / kParts;
  }

  // The interval, give or take 5 %.
  Duration Next(Duration interval) {
    const auto part = static_cast<int64_t>(Random() % (kParts / 10)) - kParts / 20;
    return interval + interval * part / kParts;
  }

 private:
  static constexpr int64_t kParts = 10'000;

  // SplitMix64 (Steele, Lea and Flood, 2014).
  uint64_t Random() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

// At most `rate` a second, with a burst of as many. Thread-compatible.
class TokenBucket {
 public:
  explicit TokenBucket(uint32_t rate) : rate_(rate), tokens_(rate) {}

  bool Take(Time now) {
    const double seconds = std::chrono::duration<double>(now - at_).count();
    if (seconds > 0) {
      tokens_ = std::min<double>(rate_, tokens_ + seconds * rate_);
      at_ = now;
    }
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  double rate_;
  double tokens_;
  Time at_;
};

}  // namespace lb::health
