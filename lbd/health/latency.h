// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "lbd/health/time.h"

namespace lb::health {

// The last latencies of one real. Value type.
class LatencyWindow {
 public:
  void Add(Duration latency) {
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(latency).count();
    samples_[next_++ % kSize] = static_cast<uint32_t>(std::clamp<int64_t>(micros, 0, UINT32_MAX));
  }

  // That of the last one; empty: there is none.
  std::optional<uint32_t> LastMicros() const {
    if (next_ == 0) return std::nullopt;
    return samples_[(next_ - 1) % kSize];
  }

  // The value that `percent` of the samples do not exceed; 0 without any.
  uint32_t PercentileMicros(uint32_t percent) const {
    const uint32_t count = std::min(next_, kSize);
    if (count == 0) return 0;
    std::array<uint32_t, kSize> values = samples_;
    const auto value = values.begin() + (count * percent + 99) / 100 - 1;
    std::nth_element(values.begin(), value, values.begin() + count);
    return *value;
  }

 private:
  static constexpr uint32_t kSize = 64;

  std::array<uint32_t, kSize> samples_{};
  uint32_t next_ = 0;
};

// How often latencies fell below each bound, for metrics.
class LatencyHistogram {
 public:
  // Upper bounds; what is longer counts in the last bucket.
  static constexpr std::array<uint32_t, 14> kBoundsMicros = {
      50,     100,    250,    500,     1000,    2500,      5000,
      10'000, 25'000, 50'000, 100'000, 250'000, 1'000'000, 5'000'000};

  void Add(Duration latency) {
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(latency).count();
    ++counts_[std::ranges::lower_bound(kBoundsMicros, micros) - kBoundsMicros.begin()];
    sum_micros_ += micros;
  }
  // One more than there are bounds.
  const std::array<uint64_t, kBoundsMicros.size() + 1>& counts() const { return counts_; }
  uint64_t sum_micros() const { return sum_micros_; }

 private:
  std::array<uint64_t, kBoundsMicros.size() + 1> counts_{};
  uint64_t sum_micros_ = 0;
};

}  // namespace lb::health
