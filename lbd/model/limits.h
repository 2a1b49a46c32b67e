// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace lb::model {

inline constexpr uint32_t kMaxWeight = 1'000'000;
inline constexpr int kMinRingBits = 8;
inline constexpr int kMaxRingBits = 20;
inline constexpr uint32_t kMaxRealsPerVip = 8192;
inline constexpr uint32_t kMinFlows = 1 << 10;
inline constexpr uint32_t kMaxFlows = 1 << 25;
inline constexpr uint32_t kMinVipFlows = 64;
inline constexpr uint32_t kMaxWindow = 86400;
inline constexpr uint32_t kMinIdle = 35;
inline constexpr uint32_t kMaxIdle = 4200;  // the age of a flow is kept in 8 bits
inline constexpr uint32_t kMaxSlowStart = 3600;
inline constexpr uint32_t kMaxDrain = 604800;

// What the BPF maps are sized for.
struct Limits {
  uint32_t vips = 512;            // 1..65536
  uint32_t reals = 4096;          // 64..1048576; VIP x real pairs of all VIPs together
  uint32_t ring_slots = 1 << 21;  // 2^14..2^27; slots of the rings of all VIPs together
  uint32_t flows = 1 << 20;       // 2^10..2^25; tracked flows of all VIPs together

  bool operator==(const Limits&) const = default;
};

}  // namespace lb::model
