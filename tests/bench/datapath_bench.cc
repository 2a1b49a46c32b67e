// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <getopt.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/bench/cases.h"
#include "tests/bench/cpus.h"
#include "tests/bench/live_run.h"
#include "tests/bench/result.h"
#include "tests/bench/table_run.h"
#include "tests/bench/test_run.h"

namespace lb::bench {
namespace {

constexpr int kMinRuns = 9;
constexpr int kQuickRuns = 3;

constexpr const char* kUsage = R"(usage: tests/bench/run [OPTION...]

CPU time per packet of lbd, of a program that only returns XDP_TX, and of one that puts a constant
outer header around every packet. tests/bench/README.md says how to read it.

  --case NAME   only this case; may be given again
  --runs N      runs per case, at least 9 (default 9)
  --quick       3 runs: shows that it works; no figures to quote
  --tables      what remembering every flow costs, by kind of table
  --live        over a veth pair, from a sender in a network namespace
  --json        one JSON object per line
  --list        the names of the cases
)";

struct Options {
  std::vector<const Case*> cases;
  int runs = kMinRuns;
  bool live = false;
  bool tables = false;
  bool json = false;

  Table table() const { return live ? Table::kLive : Table::kTestRun; }
};

void Print(const std::vector<Result>& results, const Options& options) {
  if (options.json) {
    for (const Result& result : results) fmt::print("{}\n", ToJson(result));
  } else {
    fmt::print("{}\n", Row(options.table(), results));
  }
  std::fflush(stdout);
}

Status RunTables(const Options& options) {
  if (!options.json) fmt::print("{}\n", TableHead());
  for (const uint32_t flows : {1'000u, 100'000u, 1'000'000u}) {
    LB_ASSIGN_OR_RETURN(const auto results, MeasureTables(flows, options.runs));
    for (const TableResult& result : results) {
      fmt::print("{}\n", options.json ? ToJson(result.time) : TableRow(result, results.front()));
    }
    std::fflush(stdout);
  }
  return OkStatus();
}

Status Run(const Options& options) {
  const std::vector<int> cpus = AllowedCpus();
  if (options.live && cpus.size() < 2) return FailedPrecondition("a live run needs two CPUs");
  LB_RETURN_IF_ERROR(PinToCpu(0, cpus.front()));
  if (options.tables) return RunTables(options);
  if (!options.json) fmt::print("{}\n", Head(options.table()));
  for (const Case* c : options.cases) {
    const auto results = options.live ? MeasureLive(*c, options.runs, cpus.back())
                                      : MeasureByTestRun(*c, options.runs);
    if (!results.ok()) return Annotate(results.status(), c->name);
    Print(*results, options);
  }
  return OkStatus();
}

int Usage(const std::string& problem) {
  fmt::print(stderr, "{}\n\n{}", problem, kUsage);
  return 2;
}

int Main(int argc, char** argv) {
  constexpr option kOptions[] = {{"case", required_argument, nullptr, 'c'},
                                 {"runs", required_argument, nullptr, 'r'},
                                 {"quick", no_argument, nullptr, 'q'},
                                 {"live", no_argument, nullptr, 'l'},
                                 {"json", no_argument, nullptr, 'j'},
                                 {"list", no_argument, nullptr, 'n'},
                                 {"tables", no_argument, nullptr, 't'},
                                 {"help", no_argument, nullptr, 'h'},
                                 {}};
  Options options;
  for (int key; (key = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (key) {
      case 'c': {
        const Case* c = FindCase(optarg);
        if (c == nullptr) return Usage(fmt::format("no case \"{}\"", optarg));
        options.cases.push_back(c);
        break;
      }
      case 'r': {
        const std::string_view text = optarg;
        const auto end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(text.data(), end, options.runs);
        if (error != std::errc() || rest != end || options.runs < kMinRuns) {
          return Usage("--runs wants a number, 9 or more");
        }
        break;
      }
      case 'q':
        options.runs = kQuickRuns;
        break;
      case 'l':
        options.live = true;
        break;
      case 't':
        options.tables = true;
        break;
      case 'j':
        options.json = true;
        break;
      case 'n':
        for (const Case& c : Cases()) fmt::print("{}\n", c.name);
        return 0;
      case 'h':
        fmt::print("{}", kUsage);
        return 0;
      default:
        return Usage("");
    }
  }
  if (optind < argc) return Usage(fmt::format("unexpected argument \"{}\"", argv[optind]));
  if (options.cases.empty()) {
    for (const Case& c : Cases()) {
      if (!options.live || c.verdict == LB_FORWARD) options.cases.push_back(&c);
    }
  }
  if (const Status status = Run(options); !status.ok()) {
    fmt::print(stderr, "datapath_bench: {}\n", Message(status));
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace lb::bench

int main(int argc, char** argv) { return lb::bench::Main(argc, argv); }
