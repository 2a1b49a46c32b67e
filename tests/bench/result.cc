// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/result.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/bench/contenders.h"

namespace lb::bench {

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Result Summarize(std::string_view case_name, std::string_view program,
                 const std::vector<double>& ns) {
  const auto [min, max] = std::ranges::minmax(ns);
  return {std::string(case_name), std::string(program), min, Median(ns), max};
}

std::string ToJson(const Result& result) {
  return fmt::format(
      R"({{"case": "{}", "program": "{}", "ns_min": {:.1f}, "ns_median": {:.1f}, "ns_max": {:.1f}}})",
      result.case_name, result.program, result.ns_min, result.ns_median, result.ns_max);
}

std::string Head(Table table) {
  return table == Table::kLive
             ? fmt::format("{:<20}{:>9}{:>9}{:>9}{:>9}{:>9}", "Mpps per core", "xdp_tx", "ipip",
                           "lbd", "of ipip", "sampled")
             : fmt::format("{:<20}{:>9}{:>9}{:>9}{:>14}{:>9}{:>9}", "ns per packet", "xdp_tx",
                           "ipip", "lbd", "above xdp_tx", "x ipip", "sampled");
}

std::string Row(Table table, const std::vector<Result>& results) {
  const auto median = [&](Contender contender) {
    return results.at(static_cast<size_t>(contender)).ns_median;
  };
  const std::string& name = results.at(0).case_name;
  const double lbd = median(Contender::kLbd);
  const double ipip = median(Contender::kIpip);
  const double xdp_tx = median(Contender::kXdpTx);
  const double sampled = median(Contender::kSampled);
  return table == Table::kLive
             ? fmt::format("{:<20}{:>9.2f}{:>9.2f}{:>9.2f}{:>8.0f}%{:>9.2f}", name, 1e3 / xdp_tx,
                           1e3 / ipip, 1e3 / lbd, 100 * ipip / lbd, 1e3 / sampled)
             : fmt::format("{:<20}{:>9.1f}{:>9.1f}{:>9.1f}{:>14.1f}{:>9.2f}{:>9.1f}", name, xdp_tx,
                           ipip, lbd, lbd - xdp_tx, lbd / ipip, sampled);
}

}  // namespace lb::bench
