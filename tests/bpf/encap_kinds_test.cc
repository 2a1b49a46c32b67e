// SPDX-License-Identifier: Apache-2.0
// GUE, GRE and L2: what leaves for a real, byte by byte.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <set>
#include <span>
#include <string>
#include <utility>

#include "tests/bpf/balancer.h"
#include "tests/bpf/reference_hash.h"
#include "tests/support/checksum.h"

namespace lb::testing {
namespace {

using model::Encap;

const model::VipKey kWeb4 = {kVip4, 80, model::Protocol::kTcp};
const model::VipKey kWeb6 = {kVip6, 80, model::Protocol::kTcp};
constexpr uint8_t kTos = 0xba;  // DSCP 46, ECT(0)

IpAddress ClientOf(const model::VipKey& vip) { return vip.address.is_v4() ? kClient4 : kClient6; }

Segment Web(const model::VipKey& vip, IpHeader header = {.tos = kTos}) {
  header.source = ClientOf(vip);
  header.destination = vip.address;
  return Ip(header, Tcp({}, "GET /"));
}

dataplane::Service ServiceOf(const model::VipKey& vip, const IpAddress& real, Encap encap) {
  dataplane::Service service = MakeService(vip, {real});
  service.vip.reals[0].encap = encap;
  return service;
}

// With the real as a neighbour, which L2 needs.
NextHops Neighbour(const IpAddress& real, uint32_t mtu = 1500) {
  dataplane::NextHop hop = Gateway(mtu);
  hop.via = real;
  return {{real, hop}};
}

Segment Carrier(Encap encap, const Segment& packet, uint64_t hash, uint16_t port) {
  const std::string bytes(packet.bytes.begin(), packet.bytes.end());
  if (encap == Encap::kGue) {
    const auto source = static_cast<uint16_t>(0xc000 | static_cast<uint32_t>(hash) >> 18);
    return Udp({.source = source, .destination = port}, bytes).WithChecksum(0);
  }
  Segment gre{.protocol = 47, .bytes = {0, 0, 0x08, 0x00}};
  if (packet.protocol == 41) gre.bytes = {0, 0, 0x86, 0xdd};
  gre.bytes.insert(gre.bytes.end(), packet.bytes.begin(), packet.bytes.end());
  return gre;
}

struct Case {
  const char* name;
  Encap encap;
  model::VipKey vip;
  IpAddress real;
  uint32_t overhead;
};

class EncapKindTest : public ::testing::TestWithParam<Case> {};

TEST_P(EncapKindTest, FrameToTheRealIsExact) {
  const Case& c = GetParam();
  model::Settings settings;
  settings.gue_port = 5555;
  for (const uint32_t features :
       {uint32_t{LB_FEATURE_GUE | LB_FEATURE_GRE}, uint32_t{LB_FEATURES}}) {
    Balancer balancer(settings, features);
    balancer.Serve({ServiceOf(c.vip, c.real, c.encap)});
    const Segment packet = Web(c.vip);
    const uint64_t hash =
        ReferenceFlowHash(settings.hash_key, c.vip, ClientOf(c.vip), kClientPort, c.vip.port);
    const IpPrefix& prefix = c.real.is_v4() ? settings.outer_source_v4 : settings.outer_source_v6;
    const Bytes expected = Ethernet({.source = kBalancerMac, .destination = kGatewayMac},
                                    Ip({.source = ReferenceOuterSource(prefix, hash),
                                        .destination = c.real,
                                        .tos = kTos,
                                        .flow_label = static_cast<uint32_t>(hash & 0xfffff)},
                                       Carrier(c.encap, packet, hash, settings.gue_port)));
    const Outcome outcome = balancer.Send(Ethernet({}, packet));
    EXPECT_EQ(outcome.verdict, LB_FORWARD);
    EXPECT_TRUE(SameBytes(expected, outcome.out));
    if (c.real.is_v4()) {
      EXPECT_TRUE(InternetSum().Add(std::span(outcome.out).subspan(14, 20)).holds());
    }
  }
}

TEST_P(EncapKindTest, ThePacketThatJustFitsLeavesAndOneByteMoreDoesNot) {
  const Case& c = GetParam();
  Balancer balancer({}, LB_FEATURES);
  balancer.Serve({ServiceOf(c.vip, c.real, c.encap)});
  const auto length = static_cast<uint32_t>(Web(c.vip).bytes.size());
  balancer.SetNextHops({{c.real, Gateway(length + c.overhead)}});
  EXPECT_EQ(balancer.Send(Ethernet({}, Web(c.vip))).verdict, LB_FORWARD);
  EXPECT_EQ(static_cast<uint32_t>(EncapOverhead(c.encap, c.real.is_v4())), c.overhead);
  balancer.SetNextHops({{c.real, Gateway(length + c.overhead - 1)}});
  EXPECT_EQ(balancer.Send(Ethernet({}, Web(c.vip))).verdict, LB_TOO_BIG);
}

INSTANTIATE_TEST_SUITE_P(Kinds, EncapKindTest,
                         ::testing::Values(Case{"Gue4in4", Encap::kGue, kWeb4, Real4(1), 28},
                                           Case{"Gue6in4", Encap::kGue, kWeb6, Real4(1), 28},
                                           Case{"Gue4in6", Encap::kGue, kWeb4, Real6(1), 48},
                                           Case{"Gue6in6", Encap::kGue, kWeb6, Real6(1), 48},
                                           Case{"Gre4in4", Encap::kGre, kWeb4, Real4(1), 24},
                                           Case{"Gre6in4", Encap::kGre, kWeb6, Real4(1), 24},
                                           Case{"Gre4in6", Encap::kGre, kWeb4, Real6(1), 44},
                                           Case{"Gre6in6", Encap::kGre, kWeb6, Real6(1), 44}),
                         [](const auto& test) { return test.param.name; });

TEST(GueTest, FlowsHaveManySourcePorts) {
  Balancer balancer({}, LB_FEATURE_GUE);
  balancer.Serve({ServiceOf(kWeb4, Real4(1), Encap::kGue)});
  std::set<int> ports;
  for (uint32_t flow = 0; flow < 500; ++flow) {
    const Bytes out = balancer.SendFast(Flow(flow, kWeb4)).out;
    const int port = out.at(34) << 8 | out.at(35);
    ASSERT_GE(port, 0xc000);
    ports.insert(port);
  }
  EXPECT_GT(ports.size(), 450u);
}

// Classic direct routing: nothing but MAC addresses and the TTL is another.
TEST(L2Test, FrameHasTheMacOfTheRealAndCountsAsAHop) {
  for (const auto& [vip, real] : {std::pair(kWeb4, Real4(1)), std::pair(kWeb6, Real6(1))}) {
    Balancer balancer({}, LB_FEATURE_L2);
    balancer.Serve({ServiceOf(vip, real, Encap::kL2)});
    balancer.SetNextHops(Neighbour(real));
    const Outcome outcome =
        balancer.Send(Ethernet({.padding = 3}, Web(vip, {.tos = kTos, .ttl = 17})));
    EXPECT_EQ(outcome.verdict, LB_FORWARD);
    EXPECT_TRUE(
        SameBytes(Ethernet({.source = kBalancerMac, .destination = kGatewayMac, .padding = 3},
                           Web(vip, {.tos = kTos, .ttl = 16})),
                  outcome.out));
  }
}

TEST(L2Test, EveryTtlKeepsTheChecksumRight) {
  Balancer balancer({}, LB_FEATURE_L2);
  balancer.Serve({ServiceOf(kWeb4, Real4(1), Encap::kL2)});
  balancer.SetNextHops(Neighbour(Real4(1)));
  for (int ttl = 0; ttl < 256; ++ttl) {
    for (const uint16_t id : {0, 0x1234, 0xfffe}) {
      const IpHeader header{.ttl = static_cast<uint8_t>(ttl), .id = id};
      const ProgRun run = balancer.SendFast(Ethernet({}, Web(kWeb4, header)));
      ASSERT_EQ(run.action, static_cast<uint32_t>(ttl <= 1 ? XDP_DROP : XDP_TX)) << ttl;
      if (ttl <= 1) continue;
      ASSERT_TRUE(InternetSum().Add(std::span(run.out).subspan(14, 20)).holds()) << ttl;
    }
  }
}

TEST(L2Test, WhatComesFromTheRealDoesNotGoBack) {
  Balancer balancer({}, LB_FEATURE_L2);
  balancer.Serve({ServiceOf(kWeb4, Real4(1), Encap::kL2)});
  balancer.SetNextHops(Neighbour(Real4(1)));
  EXPECT_EQ(balancer.Send(Ethernet({.source = kGatewayMac}, Web(kWeb4))).verdict, LB_L2_LOOP);
  EXPECT_EQ(balancer.Send(Ethernet({}, Web(kWeb4, {.ttl = 1}))).verdict, LB_L2_LOOP);
  EXPECT_EQ(balancer.Send(Ethernet({}, Web(kWeb4, {.ttl = 2}))).verdict, LB_FORWARD);
}

// A router would send the packet, which is still for the VIP, back to us.
TEST(L2Test, ARealBehindAGatewayHasNoNextHop) {
  Balancer balancer({}, LB_FEATURE_L2);
  balancer.Serve({ServiceOf(kWeb4, Real4(1), Encap::kL2)});
  balancer.SetNextHops({{Real4(1), Gateway()}});
  EXPECT_EQ(balancer.Send(Ethernet({}, Web(kWeb4))).verdict, LB_NO_NEXT_HOP);
}

TEST(EncapChangeTest, TheEncapOfARealChangesFromOnePacketToTheNext) {
  Balancer balancer({}, LB_FEATURES);
  for (const Encap encap : {Encap::kIpIp, Encap::kGue, Encap::kGre, Encap::kL2, Encap::kIpIp}) {
    balancer.Serve({ServiceOf(kWeb4, Real4(1), encap)});
    balancer.SetNextHops(Neighbour(Real4(1)));
    const Bytes in = Ethernet({}, Web(kWeb4));
    const Bytes out = balancer.Send(in).out;
    EXPECT_EQ(out.size(), in.size() + EncapOverhead(encap, true));
    EXPECT_TRUE(InternetSum().Add(std::span(out).subspan(14, 20)).holds());
  }
  EXPECT_EQ(balancer.CounterOf(kWeb4, Real4(1)).packets, 5u);
}

TEST(EncapChangeTest, RealsOfOneVipMayDiffer) {
  Balancer balancer({}, LB_FEATURES);
  dataplane::Service service = MakeService(kWeb4, {Real4(1), Real4(2), Real6(3)});
  service.vip.reals[1].encap = Encap::kGue;
  service.vip.reals[2].encap = Encap::kGre;
  balancer.Serve({service});
  std::set<std::pair<IpAddress, size_t>> seen;
  for (uint32_t flow = 0; flow < 100; ++flow) {
    const Bytes in = Flow(flow, kWeb4);
    const Bytes out = balancer.SendFast(in).out;
    seen.insert({RealOf(out), out.size() - in.size()});
  }
  EXPECT_EQ(seen, (std::set<std::pair<IpAddress, size_t>>{
                      {Real4(1), 20}, {Real4(2), 28}, {Real6(3), 44}}));
}

}  // namespace
}  // namespace lb::testing
