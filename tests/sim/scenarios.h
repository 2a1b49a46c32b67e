// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/sim/simulation.h"

namespace lb::sim {

// A real site has 10 000 new flows a second, and 333 000 at a time.
inline constexpr double kFullRate = 10'000;

struct Scenario {
  std::string name;         // for the command line
  std::string description;  // for the table
  std::function<std::vector<Result>(double scale, uint64_t seed)> run;
};

// With `scale` n, rates and tables are 1/n of the real ones; rings, reals and times are not scaled.
const std::vector<Scenario>& AllScenarios();

}  // namespace lb::sim
