// SPDX-License-Identifier: Apache-2.0
// What leaves for a real: outer headers, byte by byte.
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <net/if.h>

#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/bpf/balancer.h"
#include "tests/bpf/reference_hash.h"
#include "tests/support/checksum.h"
#include "tests/support/net_ns.h"

namespace lb::testing {
namespace {

const model::VipKey kWeb4 = {kVip4, 80, model::Protocol::kTcp};
const model::VipKey kWeb6 = {kVip6, 80, model::Protocol::kTcp};

struct Case {
  std::string name;
  Segment packet;
  IpAddress real;
  uint8_t tos = 0;  // of the outer header
  size_t padding = 0;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

IpAddress ClientOf(const model::VipKey& vip) { return vip.address.is_v4() ? kClient4 : kClient6; }

const model::VipKey& VipOf(const Segment& packet) { return packet.protocol == 4 ? kWeb4 : kWeb6; }

Segment Web(const model::VipKey& vip, IpHeader header = {}, std::string_view payload = "GET /") {
  header.source = ClientOf(vip);
  header.destination = vip.address;
  return Ip(header, Tcp({}, payload));
}

// A packet of `length` bytes, IP header included.
Segment WebOfLength(const model::VipKey& vip, size_t length) {
  const size_t headers = (vip.address.is_v4() ? 20 : 40) + 20;
  return Web(vip, {}, std::string(length - headers, 'x'));
}

size_t OuterLength(const IpAddress& real) { return real.is_v4() ? 20 : 40; }

// The frame that has to leave for `real`.
Bytes Encapsulated(const model::Settings& settings, const Segment& packet, const IpAddress& real,
                   uint8_t tos, size_t padding) {
  const model::VipKey& vip = VipOf(packet);
  const uint64_t hash =
      ReferenceFlowHash(settings.hash_key, vip, ClientOf(vip), kClientPort, vip.port);
  const IpPrefix& prefix = real.is_v4() ? settings.outer_source_v4 : settings.outer_source_v6;
  return Ethernet({.source = kBalancerMac, .destination = kGatewayMac, .padding = padding},
                  Ip({.source = ReferenceOuterSource(prefix, hash),
                      .destination = real,
                      .tos = tos,
                      .flow_label = static_cast<uint32_t>(hash & 0xfffff)},
                     packet));
}

Bytes Joined(Bytes head, const Bytes& tail) {
  head.insert(head.end(), tail.begin(), tail.end());
  return head;
}

class EncapTest : public ::testing::TestWithParam<Case> {};

TEST_P(EncapTest, FrameToTheRealIsExact) {
  const Case& c = GetParam();
  Balancer balancer;
  balancer.Serve({MakeService(VipOf(c.packet), {c.real})});
  const Outcome outcome = balancer.Send(Ethernet({.padding = c.padding}, c.packet));
  EXPECT_EQ(outcome.verdict, LB_FORWARD);
  EXPECT_EQ(outcome.action, XDP_TX);
  EXPECT_TRUE(SameBytes(Encapsulated(balancer.settings(), c.packet, c.real, c.tos, c.padding),
                        outcome.out));
}

// The peers' mistake: a v6 VIP with v4 reals was accepted and its frames were corrupt.
INSTANTIATE_TEST_SUITE_P(FamilyMixes, EncapTest,
                         ::testing::Values(Case{"4in4", Web(kWeb4), Real4(1)},
                                           Case{"6in6", Web(kWeb6), Real6(1)},
                                           Case{"4in6", Web(kWeb4), Real6(1)},
                                           Case{"6in4", Web(kWeb6), Real4(1)}),
                         [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    InnerPackets, EncapTest,
    ::testing::Values(
        Case{"DscpAndEcn4in4", Web(kWeb4, {.tos = 0xb9}), Real4(1), 0xb9},
        Case{"DscpAndEcn6in6", Web(kWeb6, {.tos = 0xb9}), Real6(1), 0xb9},
        Case{"DscpAndEcn4in6", Web(kWeb4, {.tos = 0x2b}), Real6(1), 0x2b},
        Case{"DscpAndEcn6in4", Web(kWeb6, {.tos = 0x2b}), Real4(1), 0x2b},
        Case{"AllTrafficClassBits4in4", Web(kWeb4, {.tos = 0xff}), Real4(1), 0xff},
        Case{"AllTrafficClassBits6in4", Web(kWeb6, {.tos = 0xff}), Real4(1), 0xff},
        Case{"TtlAndIdStayInside", Web(kWeb4, {.ttl = 1, .id = 0xbeef, .fragment = 0}), Real4(1)},
        Case{"FlowLabelStaysInside", Web(kWeb6, {.ttl = 255, .flow_label = 0xfffff}), Real6(1)},
        Case{"Options4in4", Web(kWeb4, {.options = Bytes(4, 1)}), Real4(1)},
        Case{"AllOptions4in6", Web(kWeb4, {.options = Bytes(40, 1)}), Real6(1)},
        Case{"Padding4in4", Web(kWeb4, {}, ""), Real4(1), 0, 6},
        Case{"Padding4in6", Web(kWeb4, {}, "x"), Real6(1), 0, 5},
        Case{"Padding6in6", Web(kWeb6, {}, ""), Real6(1), 0, 3},
        Case{"Padding6in4", Web(kWeb6, {}, ""), Real4(1), 0, 3}),
    [](const auto& test) { return test.param.name; });

// The other tests trust the builder; this one trusts nobody.
TEST(EncapGoldenTest, FourInFourByHand) {
  model::Settings settings;
  settings.outer_source_v4 = IpPrefix::Parse("203.0.113.9/32").value();
  Balancer balancer(settings);
  balancer.Serve({MakeService(kWeb4, {Address("10.0.0.1")})});
  // clang-format off
  const Bytes arriving = {
      0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00,  // Ethernet: router -> balancer
  };
  const Bytes packet = {
      0x45, 0x04, 0, 40, 0x12, 0x34, 0x40, 0, 63, 6, 0x3d, 0x0d,   // IPv4, TOS 4, DF, TCP
      198, 51, 100, 7, 192, 0, 2, 80,                              // client -> VIP
      0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0,                   // 40000 -> 80
      0x50, 2, 0xfa, 0xf0, 0xca, 0xfe, 0, 0,                       // SYN, any checksum
  };
  const Bytes leaving = {
      0x02, 0, 0, 0, 0, 0x03, 0x02, 0, 0, 0, 0, 0x02, 0x08, 0x00,  // balancer -> gateway
      // 4504 + 003c + 4000 + 4004 + cb00 + 7109 + 0a00 + 0001 = 2 0b4e; ~(0b4e + 2) = f4af
      0x45, 0x04, 0, 60, 0, 0, 0x40, 0, 64, 4, 0xf4, 0xaf,         // TOS 4, DF, IPIP
      203, 0, 113, 9, 10, 0, 0, 1,                                 // prefix -> real
  };
  // clang-format on
  EXPECT_TRUE(SameBytes(Joined(leaving, packet), balancer.Send(Joined(arriving, packet)).out));
}

class OuterSourceTest : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(OuterSourceTest, PrefixIsFilledWithTheFlowHashAndChecksumsHold) {
  model::Settings settings;
  settings.outer_source_v4 = IpPrefix::Parse(GetParam().first).value();
  settings.outer_source_v6 = IpPrefix::Parse(GetParam().second).value();
  Balancer balancer(settings);
  for (const model::VipKey& vip : {kWeb4, kWeb6}) {
    for (const IpAddress& real : {Real4(0xfffe), Real6(0xfffe)}) {
      balancer.Serve({MakeService(vip, {real})});
      const IpPrefix& prefix = real.is_v4() ? settings.outer_source_v4 : settings.outer_source_v6;
      for (uint32_t flow = 0; flow < 300; ++flow) {
        const uint64_t hash = ReferenceFlowHash(settings.hash_key, vip, FlowSource(flow, vip),
                                                FlowPort(flow), vip.port);
        const Bytes out = balancer.SendFast(Flow(flow, vip)).out;
        ASSERT_EQ(OuterSourceOf(out).ToString(), ReferenceOuterSource(prefix, hash).ToString());
        ASSERT_TRUE(prefix.Contains(OuterSourceOf(out)));
        if (real.is_v4()) {
          ASSERT_TRUE(InternetSum().Add(std::span(out).subspan(14, 20)).holds());
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Prefixes, OuterSourceTest,
                         ::testing::Values(std::pair{"172.16.0.0/16", "100::/64"},
                                           std::pair{"10.0.0.0/8", "2001:db8::/48"},
                                           std::pair{"192.0.2.64/27", "2001:db8::ff00:0/104"},
                                           std::pair{"192.0.2.254/31", "2001:db8::1:fffe/127"},
                                           std::pair{"255.255.254.1/32", "2001:db8::ffff/128"}));

TEST(OuterSourceSpreadTest, FlowsOfAPrefixHaveManySources) {
  Balancer balancer;
  balancer.Serve({MakeService(kWeb4, {Real4(1)})});
  std::set<IpAddress> sources;
  for (uint32_t flow = 0; flow < 1000; ++flow) {
    sources.insert(OuterSourceOf(balancer.SendFast(Flow(flow, kWeb4)).out));
  }
  EXPECT_GT(sources.size(), 950u);  // of 65 536: about 992 by the birthday bound
}

struct MtuCase {
  const char* name;
  model::VipKey vip;
  IpAddress real;
};

class MtuTest : public ::testing::TestWithParam<MtuCase> {};

TEST_P(MtuTest, ThePacketThatJustFitsLeavesAndOneByteMoreDoesNot) {
  const auto& [name, vip, real] = GetParam();
  for (const uint32_t mtu : {1280u, 1500u, 3000u}) {
    Balancer balancer;
    balancer.Serve({MakeService(vip, {real})});
    balancer.SetNextHops({{real, Gateway(mtu)}});
    const size_t fits = mtu - OuterLength(real);
    const Outcome at_limit = balancer.Send(Ethernet({}, WebOfLength(vip, fits)));
    EXPECT_EQ(at_limit.verdict, LB_FORWARD);
    EXPECT_EQ(at_limit.out.size(), mtu + 14);
    const bool told = mtu != 1280 || vip.address.is_v4();
    EXPECT_EQ(balancer.Send(Ethernet({}, WebOfLength(vip, fits + 1))).verdict,
              told ? LB_TOO_BIG_REPLY : LB_TOO_BIG);
    EXPECT_EQ(balancer.CounterOf(vip, real), (dataplane::Counter{1, fits, 1, told ? 0u : 1u}));
    // Padding is no part of the packet.
    EXPECT_EQ(balancer.Send(Ethernet({.padding = 4}, WebOfLength(vip, fits))).verdict, LB_FORWARD);
  }
}

INSTANTIATE_TEST_SUITE_P(FamilyMixes, MtuTest,
                         ::testing::Values(MtuCase{"4in4", kWeb4, Real4(1)},
                                           MtuCase{"6in6", kWeb6, Real6(1)},
                                           MtuCase{"4in6", kWeb4, Real6(1)},
                                           MtuCase{"6in4", kWeb6, Real4(1)}),
                         [](const auto& test) { return test.param.name; });

TEST(NextHopTest, RealWithoutNextHopDropsAndCountsNoForward) {
  Balancer balancer;
  balancer.Serve({MakeService(kWeb4, {Real4(1)})});
  balancer.SetNextHops({});
  EXPECT_EQ(balancer.Send(Ethernet({}, Web(kWeb4))).verdict, LB_NO_NEXT_HOP);
  EXPECT_EQ(balancer.CounterOf(kWeb4, Real4(1)), dataplane::Counter{.dropped = 1});
  balancer.SetNextHops({{Real4(1), Gateway()}});
  EXPECT_EQ(balancer.Send(Ethernet({}, Web(kWeb4))).verdict, LB_FORWARD);
}

TEST(NextHopTest, NextHopOnAnotherInterfaceIsARedirectOfTheSameFrame) {
  const NetNs ns = NetNs::Create().value();
  ASSERT_TRUE(ns.Run("ip link add port0 type veth peer name port1").ok());
  const NetNs::Inside inside(ns);
  const int port = static_cast<int>(if_nametoindex("port0"));
  Balancer balancer;
  ASSERT_TRUE(balancer.forwarder().program().AddPort(port).ok());
  for (const auto& [vip, real] : {std::pair{kWeb4, Real4(1)}, std::pair{kWeb6, Real6(1)}}) {
    balancer.Serve({MakeService(vip, {real})});
    dataplane::NextHop hop = Gateway();
    hop.ifindex = port;
    balancer.SetNextHops({{real, hop}});
    const Outcome outcome = balancer.Send(Ethernet({}, Web(vip)));
    EXPECT_EQ(outcome.verdict, LB_FORWARD);
    EXPECT_EQ(outcome.action, XDP_REDIRECT);
    EXPECT_TRUE(SameBytes(Encapsulated(balancer.settings(), Web(vip), real, 0, 0), outcome.out));
  }
}

TEST(NextHopTest, NothingLeavesByAnInterfaceThatIsNoPort) {
  Balancer balancer;
  balancer.Serve({MakeService(kWeb4, {Real4(1)})});
  dataplane::NextHop hop = Gateway();
  hop.ifindex = kIngressInterface + 1;
  balancer.SetNextHops({{Real4(1), hop}});
  EXPECT_EQ(balancer.SendFast(Ethernet({}, Web(kWeb4))).action, XDP_ABORTED);
}

TEST(NextHopTest, EveryRealHasItsOwnNextHop) {
  Balancer balancer;
  balancer.Serve({MakeService(kWeb4, {Real4(1), Real4(2), Real6(3)})});
  NextHops hops;
  for (const IpAddress& real : {Real4(1), Real4(2), Real6(3)}) {
    hops[real] = Gateway();
    hops[real].destination = MacAddress({0x06, 0, 0, 0, 0, real.mapped().back()});
  }
  balancer.SetNextHops(hops);
  for (uint32_t flow = 0; flow < 100; ++flow) {
    const Bytes out = balancer.SendFast(Flow(flow, kWeb4)).out;
    const Bytes mac(out.begin(), out.begin() + 6);
    ASSERT_EQ(mac, Bytes({0x06, 0, 0, 0, 0, RealOf(out).mapped().back()}));
  }
}

// Numbers recycled while something names them: the old entries stay until no packet can use them,
// so both generations must fit.
TEST(NextHopTest, AllNextHopsCanChangeAtOnce) {
  model::Settings settings;
  settings.limits = {.vips = 1, .reals = 64, .ring_slots = 1 << 14};
  Balancer balancer(settings);
  std::vector<IpAddress> reals;
  for (int i = 1; i <= 64; ++i) reals.push_back(Real4(i));
  balancer.Serve({MakeService(kWeb4, reals)});
  for (uint8_t round = 0; round < 4; ++round) {
    NextHops hops;
    for (const IpAddress& real : reals) {
      hops[real] = Gateway();
      hops[real].destination = MacAddress({0x06, 0, 0, 0, round, real.mapped().back()});
    }
    balancer.SetNextHops(hops);
    for (uint32_t flow = 0; flow < 1000; ++flow) {
      const ProgRun run = balancer.SendFast(Flow(flow, kWeb4));
      ASSERT_EQ(run.action, XDP_TX);
      const Bytes mac(run.out.begin(), run.out.begin() + 6);
      ASSERT_EQ(mac, Bytes({0x06, 0, 0, 0, round, RealOf(run.out).mapped().back()}));
    }
  }
}

TEST(HeadroomTest, DriverWithoutHeadroomLosesThePacketButNothingElse) {
  Balancer balancer;
  for (const auto& [vip, real] : {std::pair{kWeb4, Real4(1)}, std::pair{kWeb4, Real6(1)},
                                  std::pair{kWeb6, Real6(1)}, std::pair{kWeb6, Real4(1)}}) {
    balancer.Serve({MakeService(vip, {real})});
    // 256 bytes of headroom, 200 of them taken, and the kernel keeps 40 for itself.
    EXPECT_EQ(balancer.Send(Ethernet({}, Web(vip)), {.metadata = 200}).verdict, LB_ENCAP_FAILED);
    EXPECT_EQ(balancer.CounterOf(vip, real), dataplane::Counter{.dropped = 1});
    EXPECT_EQ(balancer.Send(Ethernet({}, Web(vip))).verdict, LB_FORWARD);
  }
}

}  // namespace
}  // namespace lb::testing
