// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace lb::model {

inline constexpr uint32_t kMaxWeight = 1'000'000;
inline constexpr int kMinRingBits = 8;
inline constexpr int kMaxRingBits = 20;
inline constexpr uint32_t kMaxRealsPerVip = 8192;
inline constexpr int kMinVipPrefix4 = 8;  // the shortest prefix that can be a VIP
inline constexpr int kMinVipPrefix6 = 16;
inline constexpr uint32_t kMinFlows = 1 << 10;
inline constexpr uint32_t kMaxFlows = 1 << 25;
inline constexpr uint32_t kMaxRate = 1'000'000;     // new flows per second
inline constexpr uint32_t kMaxBurstSeconds = 3600;  // of the rate
inline constexpr uint32_t kMaxSourcePrefixes = 1 << 20;
inline constexpr uint32_t kMaxSources = 1 << 24;
inline constexpr uint32_t kMinVipFlows = 64;
inline constexpr uint32_t kMaxWindow = 86400;
inline constexpr uint32_t kMinIdle = 35;
inline constexpr uint32_t kMaxIdle = 4200;  // the age of a flow is kept in 8 bits
inline constexpr uint32_t kMaxSlowStart = 3600;
inline constexpr uint32_t kMinFragments = 256;
inline constexpr uint32_t kMaxFragments = 1 << 20;
inline constexpr uint32_t kMaxTooBigPerSecond = 1'000'000;
inline constexpr size_t kMaxTunnels = 16;
inline constexpr uint32_t kMaxDrain = 604800;
inline constexpr uint32_t kMaxOverride = 604800;  // seconds that SetRealHealth lasts
inline constexpr uint32_t kMaxChecksPerVip = 8;
inline constexpr uint32_t kMinCheckMillis = 10;
inline constexpr uint32_t kMaxCheckInterval = 3'600'000;
inline constexpr uint32_t kMaxCheckTimeout = 60'000;
inline constexpr uint32_t kMaxCheckCount = 100;  // rise and fall
inline constexpr size_t kMaxCheckText = 512;     // of one field of a check
inline constexpr size_t kMaxGrpcService = 100;
inline constexpr uint32_t kMinProbePorts = 64;

// What the BPF maps are sized for.
struct Limits {
  uint32_t vips = 512;                 // 1..65536
  uint32_t reals = 4096;               // 64..1048576; VIP x real pairs of all VIPs together
  uint32_t ring_slots = 1 << 21;       // 2^14..2^27; slots of the rings of all VIPs together
  uint32_t flows = 1 << 20;            // 2^10..2^25; tracked flows of all VIPs together
  uint32_t source_prefixes = 1 << 16;  // 1..2^20; on lists of sources of all VIPs together
  uint32_t sources = 1 << 16;          // 2^10..2^24; whose rates are known at once
  uint32_t fragments = 8192;           // 0, 256..2^20; fragmented packets at the same time; 0: none

  bool operator==(const Limits&) const = default;
};

}  // namespace lb::model
