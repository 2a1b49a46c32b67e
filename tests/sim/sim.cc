// SPDX-License-Identifier: Apache-2.0
// Which connections changes break, in a simulated site. See README.md.
#include <fmt/format.h>
#include <gflags/gflags.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/sim/scenarios.h"

DEFINE_double(scale, 50, "Rates and tables are 1/scale of the real ones");
DEFINE_uint64(seed, 1, "Of all that is random");
DEFINE_string(scenario, "", "Names, separated by commas; empty: all");
DEFINE_bool(json, false, "One object per line in place of a table");

namespace lb::sim {
namespace {

void PrintJson(const Scenario& scenario, const Result& result) {
  std::cout << nlohmann::ordered_json{{"scenario", scenario.name},
                                      {"contender", result.contender},
                                      {"scale", FLAGS_scale},
                                      {"flows", result.flows},
                                      {"broken", result.broken},
                                      {"table_peak", result.figures.table_peak},
                                      {"packets", result.figures.packets},
                                      {"lookups", result.figures.lookups},
                                      {"refused", result.figures.refused}}
                   .dump()
            << std::endl;
}

void PrintRow(const std::string& name, const Result& result) {
  const Figures& figures = result.figures;
  std::cout << fmt::format(
                   "| {} | {} | {:.2f} % | {} | {} | {:.1f} % | {} |", name, result.contender,
                   100.0 * static_cast<double>(result.broken) / static_cast<double>(result.flows),
                   result.broken, figures.table_peak,
                   100.0 * static_cast<double>(figures.lookups) /
                       static_cast<double>(std::max<uint64_t>(1, figures.packets)),
                   figures.refused)
            << std::endl;
}

int Main() {
  if (FLAGS_scale < 1) {
    std::cerr << "--scale: must be 1 or more\n";
    return 2;
  }
  if (!FLAGS_json) {
    std::cout << "| change | contender | broken | flows | table peak | lookups | refused |\n"
              << "|---|---|--:|--:|--:|--:|--:|\n";
  }
  bool found = false;
  for (const Scenario& scenario : AllScenarios()) {
    if (!FLAGS_scenario.empty() &&
        ("," + FLAGS_scenario + ",").find("," + scenario.name + ",") == std::string::npos) {
      continue;
    }
    found = true;
    std::string name = scenario.description;
    for (const Result& result : scenario.run(FLAGS_scale, FLAGS_seed)) {
      if (FLAGS_json) {
        PrintJson(scenario, result);
      } else {
        PrintRow(name, result);
      }
      name.clear();
    }
  }
  if (found) return 0;
  std::cerr << "no scenario " << FLAGS_scenario << "; there are:";
  for (const Scenario& scenario : AllScenarios()) std::cerr << ' ' << scenario.name;
  std::cerr << '\n';
  return 2;
}

}  // namespace
}  // namespace lb::sim

int main(int argc, char** argv) {
  gflags::SetUsageMessage("simulates a site; prints what each change breaks");
  gflags::ParseCommandLineFlags(&argc, &argv, /*remove_flags=*/true);
  return lb::sim::Main();
}
