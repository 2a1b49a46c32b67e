// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/table_run.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <cerrno>
#include <fstream>
#include <memory>

#include "lb/flow_table.h"

#include "bench_tables.skel.h"
#include "tests/bench/wrapper.h"

namespace lb::bench {
namespace {

struct Contestant {
  std::string name;
  int program_fd = -1;
  int map_fd = -1;
};

// What the kernel says that a map takes.
double MemoryOf(int map_fd) {
  std::ifstream info(fmt::format("/proc/self/fdinfo/{}", map_fd));
  for (std::string word; info >> word;) {
    if (double bytes = 0; word == "memlock:" && info >> bytes) return bytes;
  }
  return 0;
}

}  // namespace

StatusOr<std::vector<TableResult>> MeasureTables(uint32_t flows, int runs) {
  const std::string case_name = fmt::format("tables_{}k", flows / 1000);
  const Case c{.name = case_name, .flows = flows};
  LB_ASSIGN_OR_RETURN(Wrapper wrapper, Wrapper::Load(c));
  const std::unique_ptr<bench_tables_bpf, decltype(&bench_tables_bpf::destroy)> skeleton(
      bench_tables_bpf::open_and_load(), &bench_tables_bpf::destroy);
  if (skeleton == nullptr) return ErrnoStatus(errno, "load bench_tables");
  const auto& progs = skeleton->progs;
  const auto& maps = skeleton->maps;
  const auto contestant = [](const char* name, const bpf_program* program, const bpf_map* map) {
    return Contestant{name, bpf_program__fd(program), map == nullptr ? -1 : bpf_map__fd(map)};
  };
  const Contestant contestants[] = {
      contestant("none", progs.table_none, nullptr), contestant("lbd", progs.table_lbd, maps.bss),
      contestant("lru_hash", progs.table_lru, maps.lru),
      contestant("lru_hash, lists per CPU", progs.table_lru_own_lists, maps.lru_own_lists),
      contestant("lru_percpu_hash", progs.table_lru_per_cpu, maps.lru_per_cpu)};
  const Effect sent_back{XDP_TX, static_cast<uint32_t>(FrameOf(c).size())};

  std::vector<std::vector<double>> ns(std::size(contestants));
  std::vector<uint64_t> missed(std::size(contestants));
  for (const Contestant& each : contestants) {
    LB_RETURN_IF_ERROR(wrapper.RunEveryFlow([&](uint32_t packets) {
      return wrapper.Run(each.program_fd, sent_back, packets).status();
    }));
  }
  for (int run = 0; run < runs; ++run) {
    for (size_t i = 0; i < std::size(contestants); ++i) {
      const uint64_t before = skeleton->bss->bench_misses;
      LB_ASSIGN_OR_RETURN(const double value,
                          wrapper.Run(contestants[i].program_fd, sent_back, 5 * Wrapper::kBurst));
      ns[i].push_back(value / (5 * Wrapper::kBurst));
      missed[i] += skeleton->bss->bench_misses - before;
    }
  }
  std::vector<TableResult> results;
  for (size_t i = 0; i < std::size(contestants); ++i) {
    const Contestant& each = contestants[i];
    results.push_back(
        {.time = Summarize(case_name, each.name, ns[i]),
         .bytes_per_flow = each.map_fd < 0 ? 0 : MemoryOf(each.map_fd) / BENCH_TABLE_ENTRIES,
         .missed_percent =
             100.0 * static_cast<double>(missed[i]) / (5.0 * Wrapper::kBurst * runs)});
  }
  return results;
}

std::string TableHead() {
  return fmt::format("{:<14}{:<26}{:>8}{:>12}{:>12}{:>10}", "ns per packet", "table", "median",
                     "above none", "bytes/flow", "missed");
}

std::string TableRow(const TableResult& result, const TableResult& none) {
  return fmt::format("{:<14}{:<26}{:>8.1f}{:>12.1f}{:>12.1f}{:>9.2f}%", result.time.case_name,
                     result.time.program, result.time.ns_median,
                     result.time.ns_median - none.time.ns_median, result.bytes_per_flow,
                     result.missed_percent);
}

}  // namespace lb::bench
