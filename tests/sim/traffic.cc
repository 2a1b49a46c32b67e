// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/traffic.h"

#include <algorithm>
#include <cmath>

namespace lb::sim {
namespace {

constexpr double kLongest = 4 * 3600;

}  // namespace

double Traffic::Lognormal(double median, double sigma) {
  return std::lognormal_distribution<double>(std::log(median), sigma)(random_);
}

FlowShape Traffic::NextFlow() {
  std::uniform_real_distribution<double> uniform(0, 1);
  const double kind = uniform(random_);
  FlowShape shape{.kind = FlowKind::kShort, .length = 0, .says_fin = uniform(random_) < 0.9};
  if (kind < 0.85) {
    shape.length = Lognormal(1.5, 1.3);
  } else if (kind < 0.97) {
    shape.kind = FlowKind::kLong;
    shape.length = 5 / std::pow(1 - uniform(random_), 1 / 1.3);
  } else if (kind < 0.995) {
    shape.kind = FlowKind::kKept;
    shape.length = Lognormal(400, 1);
  } else {
    shape.kind = FlowKind::kIdle;
    shape.length = Lognormal(1800, 1);
  }
  shape.length = std::min(shape.length, kLongest);
  return shape;
}

double Traffic::NextGap(const FlowShape& shape) {
  switch (shape.kind) {
    case FlowKind::kShort:
    case FlowKind::kLong:
      return std::exponential_distribution<double>(1)(random_);
    case FlowKind::kKept:
      return 15;
    case FlowKind::kIdle:
      return Lognormal(300, 1);
  }
  return 1;
}

double Traffic::NextStart(double per_second) {
  return std::exponential_distribution<double>(per_second)(random_);
}

}  // namespace lb::sim
