// SPDX-License-Identifier: Apache-2.0
// Tunnels that end on the load balancer: what is inside is balanced as if it had come plain.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/bpf/balancer.h"
#include "tests/support/checksum.h"

namespace lb::testing {
namespace {

const IpAddress kPeer4 = Address("203.0.113.9");  // the load balancer that sends to us
const IpAddress kPeer6 = Address("2001:db8:f::9");
constexpr uint16_t kGuePort = 6080;

model::Settings WithTunnels() {
  model::Settings settings;
  settings.decap.addresses = {kHost4, kHost6};
  settings.decap.gue_port = kGuePort;
  return settings;
}

std::string TextOf(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

IpHeader Outer(bool v4, uint8_t ttl = 255, uint8_t tos = 0) {
  return {
      .source = v4 ? kPeer4 : kPeer6, .destination = v4 ? kHost4 : kHost6, .tos = tos, .ttl = ttl};
}

struct Tunnel {
  std::string name;
  Segment packet;
};

// `inner` in every tunnel that ends here. Their TTL is so large that the next one has the usual.
std::vector<Tunnel> TunnelsAround(const Segment& inner) {
  std::vector<Tunnel> tunnels;
  for (const bool v4 : {true, false}) {
    const std::string outer = v4 ? " in 4" : " in 6";
    const std::string header = std::string{0, static_cast<char>(inner.protocol), 0, 0};
    const std::string extended =
        std::string{1, static_cast<char>(inner.protocol), 0, 0, 1, 2, 3, 4};
    tunnels.push_back({"IP" + outer, Ip(Outer(v4), inner)});
    tunnels.push_back(
        {"GUE 1" + outer, Ip(Outer(v4), Udp({.destination = kGuePort}, TextOf(inner.bytes)))});
    tunnels.push_back({"GUE 0" + outer, Ip(Outer(v4), Udp({.destination = kGuePort},
                                                          header + TextOf(inner.bytes)))});
    tunnels.push_back(
        {"GUE 0 with a field" + outer,
         Ip(Outer(v4), Udp({.destination = kGuePort}, extended + TextOf(inner.bytes)))});
  }
  IpHeader options = Outer(true);
  options.options = Bytes(8, 1);
  tunnels.push_back({"IP in 4 with options", Ip(options, inner)});
  tunnels.push_back({"IP in 6 with extension", Ip(Outer(false), Extension(kHopByHop, inner))});
  return tunnels;
}

class DecapTest : public ::testing::Test {
 protected:
  DecapTest() : balancer_(WithTunnels()) {}
  void SetUp() override {
    for (const IpAddress& vip : {kVip4, kVip6}) {
      for (const auto protocol : {model::Protocol::kTcp, model::Protocol::kUdp}) {
        services_.push_back(MakeService({vip, 80, protocol}, {Real4(1), Real6(2), Real4(3)}));
      }
    }
    balancer_.Serve(services_);
  }

  Services services_;
  Balancer balancer_;
};

std::vector<Segment> InnerPackets() {
  const IpHeader v4 = {
      .source = kClient4, .destination = kVip4, .tos = 0xb8, .ttl = 3, .id = 0x1234};
  const IpHeader v6 = {.source = kClient6, .destination = kVip6, .tos = 0xb8, .ttl = 3};
  std::vector<Segment> packets = {
      Ip(v4, Icmp({}, "payload")), Ip(v6, Icmp6({.type = kEchoRequest6}, "payload")),
      Ip(v4, Tcp({}, std::string(1480, 'x'))), Ip(v6, Tcp({}, std::string(1480, 'x'))),
      Ip(v6, Extension(kDestinationOptions, Tcp({}, "payload")))};
  for (uint16_t port = 1; port < 6; ++port) {
    packets.push_back(Ip(v4, Tcp({.source = port}, "payload")));
    packets.push_back(Ip(v6, Udp({.source = port}, "payload")));
  }
  return packets;
}

TEST_F(DecapTest, InnerPacketIsBalancedAsIfItHadComePlain) {
  const std::vector<uint32_t> tags = {0x8100'0042};
  for (const Segment& inner : InnerPackets()) {
    const Outcome plain = balancer_.Send(Ethernet({}, inner));
    for (const Tunnel& tunnel : TunnelsAround(inner)) {
      SCOPED_TRACE(tunnel.name + (inner.protocol == 4 ? ", 4 inside" : ", 6 inside"));
      const Outcome outcome = balancer_.Send(Ethernet({}, tunnel.packet));
      EXPECT_EQ(outcome.verdict, plain.verdict);
      EXPECT_TRUE(SameBytes(plain.out, outcome.out));
      const Outcome tagged = balancer_.Send(Tagged(Ethernet({}, tunnel.packet), tags));
      EXPECT_TRUE(SameBytes(Tagged(plain.out, tags), tagged.out));
    }
  }
}

TEST_F(DecapTest, WhatIsNotForAVipPassesWithItsTunnel) {
  const Segment others[] = {
      Ip({.source = kClient4, .destination = kHost4}, Tcp({})),
      Ip({.source = kClient4, .destination = kVip4}, Tcp({.destination = 81})),
      Ip({.source = kClient6, .destination = kHost6}, Tcp({})),
      Ip({.source = kClient4, .destination = kVip4}, Opaque(50, "esp"))};
  for (const Segment& inner : others) {
    for (const Tunnel& tunnel : TunnelsAround(inner)) {
      EXPECT_EQ(balancer_.Send(Ethernet({}, tunnel.packet)).verdict, LB_NOT_VIP) << tunnel.name;
    }
  }
}

TEST_F(DecapTest, TunnelsOfOthersPass) {
  const Segment inner = Ip({.source = kClient4, .destination = kVip4}, Tcp({}));
  const IpHeader elsewhere = {.source = kPeer4, .destination = Address("192.0.2.11")};
  EXPECT_EQ(balancer_.Send(Ethernet({}, Ip(elsewhere, inner))).verdict, LB_NOT_VIP);
  // Another port; a control message; another version; another payload; cut off.
  const auto gue = [&](const std::string& payload, uint16_t port = kGuePort) {
    return balancer_.Send(Ethernet({}, Ip(Outer(true), Udp({.destination = port}, payload))))
        .verdict;
  };
  const std::string packet = TextOf(inner.bytes);
  EXPECT_EQ(gue(packet, kGuePort + 1), LB_NOT_VIP);
  EXPECT_EQ(gue(std::string{0x20, 4, 0, 0} + packet), LB_NOT_VIP);
  EXPECT_EQ(gue(std::string{static_cast<char>(0x80), 4, 0, 0} + packet), LB_NOT_VIP);
  EXPECT_EQ(gue(std::string{0, 6, 0, 0} + packet), LB_NOT_VIP);
  EXPECT_EQ(gue(""), LB_NOT_VIP);
}

TEST_F(DecapTest, InnerPacketThatLiesIsDroppedWhereItIsForAVip) {
  const auto verdict = [&](const IpHeader& header) {
    return balancer_.Send(Ethernet({.padding = 40}, Ip(Outer(true), Ip(header, Tcp({}))))).verdict;
  };
  const IpHeader vip = {.source = kClient4, .destination = kVip4};
  IpHeader longer = vip;
  longer.length = 41;  // the frame has the bytes, the tunnel has not
  EXPECT_EQ(verdict(longer), LB_BAD_LENGTH);
  IpHeader bad = vip;
  bad.header_words = 4;
  EXPECT_EQ(verdict(bad), LB_BAD_HEADER);
  longer.destination = bad.destination = kHost4;
  EXPECT_EQ(verdict(longer), LB_NOT_VIP);
  EXPECT_EQ(verdict(bad), LB_NOT_VIP);
}

TEST_F(DecapTest, TtlOfTheTunnelGoesOnSoThatACircleEnds) {
  for (const bool v4 : {true, false}) {
    for (const Segment& inner :
         {Ip({.source = kClient4, .destination = kVip4}, Tcp({.source = 9})),
          Ip({.source = kClient6, .destination = kVip6}, Tcp({.source = 9}))}) {
      for (int ttl = 0; ttl < 256; ++ttl) {
        const Bytes frame = Ethernet({}, Ip(Outer(v4, static_cast<uint8_t>(ttl)), inner));
        const Outcome outcome = balancer_.Send(frame);
        ASSERT_EQ(outcome.verdict, ttl <= 1 ? LB_TTL_EXPIRED : LB_FORWARD);
        if (ttl <= 1) continue;
        const bool out4 = outcome.out[12] == 0x08;
        ASSERT_EQ(outcome.out[out4 ? 22 : 21], std::min(ttl - 1, 64));
        if (out4) {
          ASSERT_TRUE(InternetSum().Add(std::span(outcome.out).subspan(14, 20)).holds());
        }
      }
    }
  }
}

// RFC 6040: a mark of the first tunnel is carried on by the second, and the inner packet is not
// touched.
TEST_F(DecapTest, CongestionOfTheTunnelGoesOn) {
  for (const auto& [inner_tos, outer_tos, expected] :
       {std::tuple{0x02, 0x03, 0x03}, std::tuple{0x01, 0x03, 0x03}, std::tuple{0x03, 0x00, 0x03},
        std::tuple{0x00, 0x03, 0x00}, std::tuple{0xba, 0x02, 0xba}, std::tuple{0xba, 0x5f, 0xbb}}) {
    const Segment inner =
        Ip({.source = kClient4, .destination = kVip4, .tos = static_cast<uint8_t>(inner_tos)},
           Tcp({}));
    const Outcome outcome =
        balancer_.Send(Ethernet({}, Ip(Outer(true, 64, static_cast<uint8_t>(outer_tos)), inner)));
    ASSERT_EQ(outcome.verdict, LB_FORWARD);
    const bool out4 = outcome.out[12] == 0x08;
    const int tos = out4 ? outcome.out[15] : (outcome.out[14] & 0x0f) << 4 | outcome.out[15] >> 4;
    EXPECT_EQ(tos, expected);
    EXPECT_TRUE(
        SameBytes(inner.bytes, Bytes(outcome.out.end() - inner.bytes.size(), outcome.out.end())));
  }
}

TEST_F(DecapTest, FragmentsOfTheTunnelPassAndFragmentsInsideAreFollowed) {
  IpHeader fragment = Outer(true);
  fragment.fragment = 0x2000;
  const Segment inner = Ip({.source = kClient4, .destination = kVip4}, Tcp({}));
  EXPECT_EQ(balancer_.Send(Ethernet({}, Ip(fragment, inner))).verdict, LB_NOT_VIP);
  const auto piece = [](uint16_t flags) {
    return Ethernet(
        {},
        Ip(Outer(true), Ip({.source = kClient4, .destination = kVip4, .id = 3, .fragment = flags},
                           Udp({}, "payload"))));
  };
  EXPECT_EQ(balancer_.Send(piece(0x2001)).verdict, LB_FRAGMENT);
  const Outcome first = balancer_.Send(piece(0x2000));
  ASSERT_EQ(first.verdict, LB_FORWARD);
  EXPECT_EQ(RealOf(balancer_.Send(piece(0x2001)).out), RealOf(first.out));
}

TEST(DecapOffTest, NoTunnelEndsHereUnlessAsked) {
  Balancer balancer;
  balancer.Serve({MakeService({kVip4, 80, model::Protocol::kTcp}, {Real4(1)})});
  for (const Tunnel& tunnel :
       TunnelsAround(Ip({.source = kClient4, .destination = kVip4}, Tcp({})))) {
    EXPECT_EQ(balancer.Send(Ethernet({}, tunnel.packet)).verdict, LB_NOT_VIP) << tunnel.name;
  }
}

TEST_F(DecapTest, TunnelsEndHereAfterARestart) {
  balancer_.Restart(services_);
  const Segment inner = Ip({.source = kClient4, .destination = kVip4}, Tcp({}));
  EXPECT_EQ(balancer_.Send(Ethernet({}, Ip(Outer(true), inner))).verdict, LB_FORWARD);
}

}  // namespace
}  // namespace lb::testing
