// SPDX-License-Identifier: Apache-2.0
// What the verifier makes of the program, by the stages that are on. Needs root.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "lbd/dataplane/forwarder.h"

namespace lb {
namespace {

struct Row {
  std::string name;
  uint32_t stages;
  uint32_t features = 0;
};

std::vector<Row> Rows() {
  return {{"no stage", 0},
          {"echo", LB_STAGE_ECHO},
          {"vlan", LB_STAGE_VLAN},
          {"extensions", LB_STAGE_EXTENSIONS},
          {"fragments", LB_STAGE_FRAGMENTS},
          {"errors", LB_STAGE_ERRORS},
          {"too big", LB_STAGE_TOO_BIG},
          {"decap", LB_STAGE_DECAP},
          {"frames", LB_STAGE_FRAMES},
          {"all stages", ~0u},
          {"wide VIPs", 0, LB_FEATURE_WIDE_VIPS},
          {"hash fields", 0, LB_FEATURE_HASH_FIELDS},
          {"GUE", 0, LB_FEATURE_GUE},
          {"GRE", 0, LB_FEATURE_GRE},
          {"L2", 0, LB_FEATURE_L2},
          {"sources", 0, LB_FEATURE_SOURCES},
          {"source routes", 0, LB_FEATURE_SOURCE_ROUTES},
          {"QUIC ids", 0, LB_FEATURE_QUIC_IDS},
          {"TCP ids", 0, LB_FEATURE_TCP_IDS},
          {"health probes", 0, LB_FEATURE_PROBES},
          {"all of all", ~0u, LB_FEATURES}};
}

int Main() {
  const model::Settings settings;
  const auto forwarder = dataplane::Forwarder::Create(settings);
  if (!forwarder.ok()) {
    fmt::print(stderr, "{}\n", Message(forwarder.status()));
    return 1;
  }
  const auto sizes = dataplane::MapSizes::For(settings.limits, libbpf_num_possible_cpus());
  fmt::print("{:<14}{:>12}{:>14}{:>14}{:>8}\n", "", "processed", "instructions", "machine code",
             "ms");
  for (const Row& row : Rows()) {
    auto config = dataplane::EncodeConfig(settings, sizes, 0, row.features);
    config.stages = row.stages;
    config.features = row.features;
    config.decap_port_be = 0xc017;
    const auto start = std::chrono::steady_clock::now();
    const auto program =
        dataplane::Program::Load(config, (*forwarder)->maps(), (*forwarder)->prefix_maps());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (!program.ok()) {
      fmt::print(stderr, "{}: {}\n", row.name, Message(program.status()));
      return 1;
    }
    bpf_prog_info info{};
    uint32_t length = sizeof(info);
    bpf_obj_get_info_by_fd(program->fd(), &info, &length);
    fmt::print("{:<14}{:>12}{:>14}{:>14}{:>8.0f}\n", row.name, info.verified_insns,
               info.xlated_prog_len / 8, info.jited_prog_len, took.count() * 1000);
  }
  return 0;
}

}  // namespace
}  // namespace lb

int main() { return lb::Main(); }
