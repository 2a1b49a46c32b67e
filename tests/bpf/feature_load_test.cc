// SPDX-License-Identifier: Apache-2.0
// The verifier takes the program whatever lb_config switches on. The peers' mistake: a combination
// that nobody loaded before a user did.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lb/abi.h"
#include "lb_xdp.skel.h"
#include "lbd/dataplane/capture.h"
#include "lbd/dataplane/encode.h"
#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

struct Feature {
  const char* name;
  const char* field;  // of lb_config
  void (*enable)(lb_config& config);
};

// One row per switch: a field of lb_config, or a bit of one, that switches code on.
const std::vector<Feature> kFeatures = {
    {"fast_hash", "fast_hash", [](lb_config& config) { config.fast_hash = 1; }},
    {"echo", "stages", [](lb_config& config) { config.stages |= LB_STAGE_ECHO; }},
    {"vlan", "stages", [](lb_config& config) { config.stages |= LB_STAGE_VLAN; }},
    {"extensions", "stages", [](lb_config& config) { config.stages |= LB_STAGE_EXTENSIONS; }},
    {"fragments", "stages", [](lb_config& config) { config.stages |= LB_STAGE_FRAGMENTS; }},
    {"errors", "stages", [](lb_config& config) { config.stages |= LB_STAGE_ERRORS; }},
    {"too_big", "stages", [](lb_config& config) { config.stages |= LB_STAGE_TOO_BIG; }},
    {"frames", "stages", [](lb_config& config) { config.stages |= LB_STAGE_FRAMES; }},
    {"decap", "stages", [](lb_config& config) { config.stages |= LB_STAGE_DECAP; }},
    {"decap_gue", "decap_port_be", [](lb_config& config) { config.decap_port_be = 0xc017; }},
    {"wide_vips", "features", [](lb_config& config) { config.features |= LB_FEATURE_WIDE_VIPS; }},
    {"hash_fields", "features",
     [](lb_config& config) { config.features |= LB_FEATURE_HASH_FIELDS; }},
    {"quic_ids", "features", [](lb_config& config) { config.features |= LB_FEATURE_QUIC_IDS; }},
    {"tcp_ids", "features", [](lb_config& config) { config.features |= LB_FEATURE_TCP_IDS; }},
    {"gue", "features", [](lb_config& config) { config.features |= LB_FEATURE_GUE; }},
    {"gre", "features", [](lb_config& config) { config.features |= LB_FEATURE_GRE; }},
    {"l2", "features", [](lb_config& config) { config.features |= LB_FEATURE_L2; }},
    {"sources", "features", [](lb_config& config) { config.features |= LB_FEATURE_SOURCES; }},
    {"source_routes", "features",
     [](lb_config& config) { config.features |= LB_FEATURE_SOURCE_ROUTES; }},
    {"probes", "features", [](lb_config& config) { config.features |= LB_FEATURE_PROBES; }},
};

// With everything off that kFeatures switches on.
lb_config PlainConfig() {
  const model::Settings settings;
  const auto sizes =
      dataplane::MapSizes::For(settings.limits, libbpf_num_possible_cpus(), LB_FEATURES);
  lb_config config = dataplane::EncodeConfig(settings, sizes, 0);
  config.fast_hash = 0;
  config.stages = config.features = 0;
  return config;
}

// The other fields: sizes and values, under which the program is the same code.
const std::set<std::string> kValues = {"vip_mask",           "real_mask",
                                       "ring_mask",          "next_hop_mask",
                                       "counter_mask",       "cpu_mask",
                                       "verdict_mask",       "real_bits",
                                       "vip_hash_key",       "source_v4",
                                       "source_v6",          "source_v4_hash_mask",
                                       "flow_mask",          "source_v6_hash_mask",
                                       "handover",           "id_config_mask",
                                       "server_id_mask",     "wide_vip_mask",
                                       "port_rule_mask",     "gue_port_be",
                                       "fragments",          "icmp_interval",
                                       "policy_mask",        "policy_count_mask",
                                       "source_bucket_mask", "reserved"};

using Combination = uint64_t;  // bit i: kFeatures[i] is on

// Which values three features have together: (first, second, third, their bits).
std::set<std::vector<size_t>> Triples(const std::vector<Combination>& combinations, size_t count) {
  std::set<std::vector<size_t>> triples;
  for (const Combination c : combinations) {
    for (size_t i = 0; i < count; ++i) {
      for (size_t j = i + 1; j < count; ++j) {
        for (size_t k = j + 1; k < count; ++k) {
          triples.insert({i, j, k, (c >> i & 1) | (c >> j & 1) << 1 | (c >> k & 1) << 2});
        }
      }
    }
  }
  return triples;
}

// All combinations of up to 6 features. Of more: none, all, each alone, all but each, in which any
// three of them meet in all their values.
std::vector<Combination> Combinations(size_t count) {
  std::vector<Combination> chosen;
  const Combination all = (Combination{1} << count) - 1;
  if (count <= 6) {
    for (Combination c = 0; c <= all; ++c) chosen.push_back(c);
    return chosen;
  }
  chosen = {0, all};
  for (size_t i = 0; i < count; ++i) {
    chosen.push_back(Combination{1} << i);
    chosen.push_back(all ^ Combination{1} << i);
  }
  return chosen;
}

std::string Names(Combination combination) {
  std::string names;
  for (size_t i = 0; i < kFeatures.size(); ++i) {
    if ((combination >> i & 1) != 0) names += std::string(" ") + kFeatures[i].name;
  }
  return names.empty() ? " none" : names;
}

TEST(FeatureLoadTest, EveryFieldOfTheConfigurationIsAFeatureOrAValue) {
  size_t size = 0;
  const void* elf = lb_xdp_bpf::elf_bytes(&size);
  const std::unique_ptr<bpf_object, decltype(&bpf_object__close)> object(
      bpf_object__open_mem(elf, size, nullptr), bpf_object__close);
  const btf* types = bpf_object__btf(object.get());
  const int id = btf__find_by_name_kind(types, "lb_config", BTF_KIND_STRUCT);
  ASSERT_GT(id, 0);
  const btf_type* config = btf__type_by_id(types, id);
  std::set<std::string> fields;
  for (int i = 0; i < btf_vlen(config); ++i) {
    const std::string name = btf__name_by_offset(types, btf_members(config)[i].name_off);
    fields.insert(name);
    const bool feature = std::ranges::find(kFeatures, name, [](const Feature& f) {
                           return std::string(f.field);
                         }) != kFeatures.end();
    EXPECT_NE(feature, kValues.contains(name)) << name << ": add a row to kFeatures if it switches "
                                               << "code on, else to kValues";
  }
  for (const Feature& feature : kFeatures) EXPECT_TRUE(fields.contains(feature.field));
  for (const std::string& value : kValues) EXPECT_TRUE(fields.contains(value)) << value;
}

TEST(FeatureLoadTest, WhatIsOnByDefaultIsAFeature) {
  lb_config all = PlainConfig();
  for (const Feature& feature : kFeatures) feature.enable(all);
  const auto sizes = dataplane::MapSizes::For({}, libbpf_num_possible_cpus());
  const lb_config on = dataplane::EncodeConfig({}, sizes, 0);
  EXPECT_EQ(on.stages & ~all.stages, 0u) << "a bit of stages has no row in kFeatures";
  EXPECT_EQ((on.features | LB_FEATURES) & ~all.features, 0u)
      << "a bit of features has no row in kFeatures";
}

TEST(FeatureLoadTest, ManyFeaturesAreCombinedByThrees) {
  for (const size_t count : {7, 12, 20}) {
    const auto chosen = Combinations(count);
    EXPECT_EQ(Triples(chosen, count).size(), count * (count - 1) * (count - 2) / 6 * 8);
    EXPECT_LT(chosen.size(), 100u);
  }
}

TEST(FeatureLoadTest, EveryCombinationLoads) {
  Balancer balancer({}, LB_FEATURES);  // for its maps
  uint32_t most = 0;
  const auto combinations = Combinations(kFeatures.size());
  for (const Combination combination : combinations) {
    lb_config config = PlainConfig();
    for (size_t i = 0; i < kFeatures.size(); ++i) {
      if ((combination >> i & 1) != 0) kFeatures[i].enable(config);
    }
    const auto program = dataplane::Program::Load(config, balancer.forwarder().maps(),
                                                  balancer.forwarder().prefix_maps());
    ASSERT_TRUE(program.ok()) << "with" << Names(combination) << ": " << Message(program.status());
    bpf_prog_info info{};
    uint32_t length = sizeof(info);
    ASSERT_EQ(bpf_obj_get_info_by_fd(program->fd(), &info, &length), 0);
    // Of the million that the verifier allows.
    EXPECT_LT(info.verified_insns, 500000u) << "with" << Names(combination);
    most = std::max(most, info.verified_insns);
  }
  std::printf("%zu combinations, at most %u instructions processed\n", combinations.size(), most);
}

// The build that explains, too: lbctl capture and flow explain load it over the same constants.
TEST(FeatureLoadTest, EveryCombinationOfTheExplainingBuildLoads) {
  Balancer balancer({}, LB_FEATURES);  // for its maps
  for (const Combination combination : Combinations(kFeatures.size())) {
    lb_config config = PlainConfig();
    for (size_t i = 0; i < kFeatures.size(); ++i) {
      if ((combination >> i & 1) != 0) kFeatures[i].enable(config);
    }
    const auto program = dataplane::TracingProgram::Load(config, balancer.forwarder().maps(),
                                                         balancer.forwarder().prefix_maps(), {});
    ASSERT_TRUE(program.ok()) << "with" << Names(combination) << ": " << Message(program.status());
  }
}

}  // namespace
}  // namespace lb::testing
