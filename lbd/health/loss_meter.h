// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lbd/health/time.h"

namespace lb::health {

// Which share of the answers was lost on this side lately. Thread-compatible.
class LossMeter {
 public:
  // Both count from any beginning, and never backwards but to start anew. To be called every second
  // at least.
  void Update(uint64_t received, uint64_t dropped, Time now) {
    if (received < now_.received || dropped < now_.dropped) *this = LossMeter();
    if (now - middle_.at >= kHalf) {
      begin_ = middle_.at == Time() ? Sample{received, dropped, now} : middle_;
      middle_ = {received, dropped, now};
    }
    now_ = {received, dropped, now};
  }
  Time updated_at() const { return now_.at; }

  // Of what came since half a second ago, or up to two; 0..100.
  uint32_t percent() const {
    const uint64_t dropped = now_.dropped - begin_.dropped;
    const uint64_t all = dropped + now_.received - begin_.received;
    return all == 0 ? 0 : static_cast<uint32_t>(dropped * 100 / all);
  }

 private:
  static constexpr auto kHalf = std::chrono::milliseconds(500);

  struct Sample {
    uint64_t received = 0;
    uint64_t dropped = 0;
    Time at;
  };
  Sample begin_;
  Sample middle_;
  Sample now_;
};

}  // namespace lb::health
