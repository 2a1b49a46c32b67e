// SPDX-License-Identifier: Apache-2.0
// The verifier takes the program as it is shipped, under every kind of settings, and with little
// work. The peers' mistake: programs that the newest verifier rejects.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

struct Case {
  std::string name;
  model::Limits limits;
  const char* source_v4 = "172.16.0.0/16";
  const char* source_v6 = "100::/64";
  uint32_t features = 0;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

class LoadTest : public ::testing::TestWithParam<Case> {};

TEST_P(LoadTest, LoadsAndForwards) {
  model::Settings settings;
  settings.limits = GetParam().limits;
  settings.outer_source_v4 = IpPrefix::Parse(GetParam().source_v4).value();
  settings.outer_source_v6 = IpPrefix::Parse(GetParam().source_v6).value();
  Balancer balancer(settings, GetParam().features);
  // Once more over the same maps, as zeroing the largest of them takes longer than the verifier.
  const auto sizes =
      dataplane::MapSizes::For(settings.limits, libbpf_num_possible_cpus(), GetParam().features);
  const auto config = dataplane::EncodeConfig(settings, sizes, 0, GetParam().features);
  const auto start = std::chrono::steady_clock::now();
  const auto again = dataplane::Program::Load(config, balancer.forwarder().maps(),
                                              balancer.forwarder().prefix_maps());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(again.ok()) << Message(again.status());

  bpf_prog_info info{};
  uint32_t length = sizeof(info);
  ASSERT_EQ(bpf_obj_get_info_by_fd(balancer.forwarder().program().fd(), &info, &length), 0);
  EXPECT_LT(info.verified_insns, 200000u);  // of the million that the verifier allows
  std::printf("%.0f ms, %u instructions processed, %u long, %u bytes of machine code\n",
              took.count() * 1000, info.verified_insns, info.xlated_prog_len / 8,
              info.jited_prog_len);

  const model::VipKey vip = {kVip4, 80, model::Protocol::kTcp};
  balancer.Serve({MakeService(vip, {Real4(1)}, 14)});
  EXPECT_EQ(balancer.Send(Flow(0, vip)).verdict, LB_FORWARD);
}

INSTANTIATE_TEST_SUITE_P(
    Settings, LoadTest,
    ::testing::Values(
        Case{"Default", {}}, Case{"Smallest", {.vips = 1, .reals = 64, .ring_slots = 1 << 14}},
        Case{"FewFlows", {.flows = 1 << 10}}, Case{"ManyFlows", {.flows = 1 << 25}},
        Case{"Large", {.vips = 8192, .reals = 65536, .ring_slots = 1 << 24}},
        Case{"Largest", {.vips = 65536, .reals = 1048576, .ring_slots = 1 << 27}},
        Case{"ManyVipsFewReals", {.vips = 65536, .reals = 64, .ring_slots = 1 << 14}},
        Case{"FewVipsManyReals", {.vips = 1, .reals = 1048576, .ring_slots = 1 << 20}},
        Case{"OneOuterSource", {}, "192.0.2.1/32", "2001:db8::1/128"},
        Case{"NoOuterPrefix", {}, "0.0.0.0/0", "::/0"},
        Case{"ShortOuterPrefix", {}, "10.0.0.0/8", "2001:db8::/97"},
        Case{"QuicIds", {}, "10.0.0.0/8", "100::/64", LB_FEATURE_QUIC_IDS},
        Case{"TcpIds", {}, "10.0.0.0/8", "100::/64", LB_FEATURE_TCP_IDS},
        Case{"AllIds", {}, "10.0.0.0/8", "100::/64", LB_FEATURE_QUIC_IDS | LB_FEATURE_TCP_IDS}),
    [](const auto& test) { return test.param.name; });

Case WithFeatures(std::string name, uint32_t features) {
  Case c{std::move(name), {}};
  c.features = features;
  return c;
}

INSTANTIATE_TEST_SUITE_P(Features, LoadTest,
                         ::testing::Values(WithFeatures("WideVips", LB_FEATURE_WIDE_VIPS),
                                           WithFeatures("HashFields", LB_FEATURE_HASH_FIELDS),
                                           WithFeatures("Gue", LB_FEATURE_GUE),
                                           WithFeatures("Gre", LB_FEATURE_GRE),
                                           WithFeatures("L2", LB_FEATURE_L2),
                                           WithFeatures("Sources", LB_FEATURE_SOURCES),
                                           WithFeatures("SourceRoutes", LB_FEATURE_SOURCE_ROUTES),
                                           WithFeatures("Probes", LB_FEATURE_PROBES),
                                           WithFeatures("All", LB_FEATURES)),
                         [](const auto& test) { return test.param.name; });

// The peers' mistake: an empty instance takes 1.4 GB of BPF maps. With these, lbd stays below 64
// MB.
TEST(MapMemoryTest, DefaultConfigurationTakesLessThan32MiB) {
  Balancer balancer;
  size_t bytes = 0;
  for (const dataplane::MappedArray* map : balancer.forwarder().maps()) bytes += map->size_bytes();
  std::printf("%zu KiB in tables\n", bytes / 1024);
  EXPECT_GT(bytes, size_t{1} << 20);
  EXPECT_LT(bytes, size_t{32} << 20);
}

// The verifier takes no table beyond 512 MiB: many CPUs and high limits must end in a sentence for
// people, not in its log.
TEST(MapMemoryTest, TablesThatNoProgramCanUseAreRefusedByName) {
  model::Settings settings;
  settings.limits = {.vips = 65536, .reals = 1 << 27, .ring_slots = 1 << 14};
  const auto forwarder = dataplane::Forwarder::Create(settings);
  ASSERT_FALSE(forwarder.ok());
  EXPECT_EQ(forwarder.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(Message(forwarder.status()).find("limits"), std::string::npos)
      << Message(forwarder.status());
}

}  // namespace
}  // namespace lb::testing
