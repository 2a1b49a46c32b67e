// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace lb::model {

inline constexpr uint32_t kMaxWeight = 1'000'000;
inline constexpr int kMinRingBits = 8;
inline constexpr int kMaxRingBits = 20;
inline constexpr uint32_t kMaxRealsPerVip = 8192;

// What the BPF maps are sized for.
struct Limits {
  uint32_t vips = 512;            // 1..65536
  uint32_t reals = 4096;          // 64..1048576; VIP x real pairs of all VIPs together
  uint32_t ring_slots = 1 << 21;  // 2^14..2^27; slots of the rings of all VIPs together

  bool operator==(const Limits&) const = default;
};

}  // namespace lb::model
