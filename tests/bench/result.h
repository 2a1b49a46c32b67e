// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lb::bench {

// One program in one case.
struct Result {
  std::string case_name;
  std::string program;
  double ns_min = 0;  // per packet, over the runs
  double ns_median = 0;
  double ns_max = 0;
};

double Median(std::vector<double> values);
// `ns`: one value per run, at least one.
Result Summarize(std::string_view case_name, std::string_view program,
                 const std::vector<double>& ns);

std::string ToJson(const Result& result);  // one line

// The table of test runs: nanoseconds; of live runs: millions of packets per second and core.
enum class Table { kTestRun, kLive };
std::string Head(Table table);
// The results of one case, in the order of kContenders.
std::string Row(Table table, const std::vector<Result>& results);

}  // namespace lb::bench
