// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

namespace lb::sim {

// How a connection sends. The mix is harsh on purpose: a third of those that are open at a time are
// long and mostly idle.
enum class FlowKind : uint8_t {
  kShort,  // 85 %: lognormal, median 1.5 s
  kLong,   // 12 %: Pareto from 5 s, alpha 1.3
  kKept,   // 2.5 %: lognormal, median 400 s, a packet every 15 s (keep-alives)
  kIdle,   // 0.5 %: lognormal, median 1800 s, silent for 300 s (median) between packets
};

struct FlowShape {
  FlowKind kind;
  double length;  // seconds
  bool says_fin;  // 90 %; the others vanish
};

// Draws flows and their packets. Deterministic for a seed.
class Traffic {
 public:
  explicit Traffic(uint64_t seed) : random_(seed) {}

  FlowShape NextFlow();
  // Seconds until the flow's next packet.
  double NextGap(const FlowShape& shape);
  // Seconds until the next flow starts, at so many a second.
  double NextStart(double per_second);
  uint64_t NextHash() { return random_(); }

 private:
  double Lognormal(double median, double sigma);

  std::mt19937_64 random_;
};

}  // namespace lb::sim
