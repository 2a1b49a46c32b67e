// SPDX-License-Identifier: Apache-2.0
// VIPs of prefixes, of port ranges and of both protocols: whom packets go to.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <set>
#include <string>
#include <vector>

#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

constexpr uint32_t kFeatures = LB_FEATURE_WIDE_VIPS | LB_FEATURE_HASH_FIELDS;

// A packet to an address, port and protocol such as "192.0.2.7:80/udp".
Bytes PacketTo(std::string_view text, uint16_t source_port = kClientPort) {
  const model::VipKey to = Key(text);
  const IpHeader header{.source = to.address.is_v4() ? kClient4 : kClient6,
                        .destination = to.address};
  return Ethernet({}, Ip(header, to.protocol == model::Protocol::kUdp
                                     ? Udp({.source = source_port, .destination = to.port})
                                     : Tcp({.source = source_port, .destination = to.port})));
}

struct Row {
  const char* to;
  const char* vip;  // whose real gets it; empty: none
};

// Of all VIPs that a packet belongs to, the one of the longest prefix gets it, and of these the one
// of its very port, then a range, then any.
TEST(WideVipTest, TheMostExactVipGetsThePacket) {
  const std::vector<std::string> vips = {
      "192.0.2.1:80/tcp",       "192.0.2.1:70-90/tcp",           "192.0.2.1:any/tcp",
      "192.0.2.2:70-90/tcp",    "192.0.2.0/24:80/tcp",           "192.0.2.0/24:60-99/tcp",
      "192.0.2.0/24:any/udp",   "192.0.2.16/28:80/tcp",          "192.0.0.0/16:any/tcp_udp",
      "[2001:db8:5::]:443/tcp", "[2001:db8:5::/64]:443/tcp_udp", "[2001:db8::/32]:any/tcp"};
  Services services;
  for (size_t i = 0; i < vips.size(); ++i) {
    services.push_back(MakeService(Key(vips[i]), {Real4(static_cast<int>(i) + 1)}));
  }
  Balancer balancer({}, kFeatures);
  balancer.Serve(services);
  constexpr Row kRows[] = {
      {"192.0.2.1:80/tcp", "192.0.2.1:80/tcp"},
      {"192.0.2.1:70/tcp", "192.0.2.1:70-90/tcp"},
      {"192.0.2.1:90/tcp", "192.0.2.1:70-90/tcp"},
      {"192.0.2.1:91/tcp", "192.0.2.1:any/tcp"},
      {"192.0.2.1:69/tcp", "192.0.2.1:any/tcp"},
      {"192.0.2.1:80/udp", "192.0.2.0/24:any/udp"},
      {"192.0.2.2:80/tcp", "192.0.2.2:70-90/tcp"},
      {"192.0.2.2:91/tcp", "192.0.2.0/24:60-99/tcp"},
      {"192.0.2.2:100/tcp", "192.0.0.0/16:any/tcp_udp"},
      {"192.0.2.0:80/tcp", "192.0.2.0/24:80/tcp"},
      {"192.0.2.255:80/tcp", "192.0.2.0/24:80/tcp"},
      {"192.0.2.255:79/tcp", "192.0.2.0/24:60-99/tcp"},
      {"192.0.2.255:59/tcp", "192.0.0.0/16:any/tcp_udp"},
      {"192.0.2.17:80/tcp", "192.0.2.16/28:80/tcp"},
      {"192.0.2.17:81/tcp", "192.0.2.0/24:60-99/tcp"},
      {"192.0.2.32:80/tcp", "192.0.2.0/24:80/tcp"},
      {"192.0.3.1:1/tcp", "192.0.0.0/16:any/tcp_udp"},
      {"192.0.255.255:65535/udp", "192.0.0.0/16:any/tcp_udp"},
      {"192.1.0.0:80/tcp", ""},
      {"191.255.255.255:80/tcp", ""},
      {"[2001:db8:5::]:443/tcp", "[2001:db8:5::]:443/tcp"},
      {"[2001:db8:5::1]:443/tcp", "[2001:db8:5::/64]:443/tcp_udp"},
      {"[2001:db8:5::1]:443/udp", "[2001:db8:5::/64]:443/tcp_udp"},
      {"[2001:db8:5::]:443/udp", "[2001:db8:5::/64]:443/tcp_udp"},
      {"[2001:db8:5::1]:444/tcp", "[2001:db8::/32]:any/tcp"},
      {"[2001:db8:5::1]:444/udp", ""},
      {"[2001:db9::1]:443/tcp", ""},
  };
  for (const Row& row : kRows) {
    const Outcome outcome = balancer.Send(PacketTo(row.to));
    if (*row.vip == '\0') {
      EXPECT_EQ(outcome.verdict, LB_NOT_VIP) << row.to;
      continue;
    }
    ASSERT_EQ(outcome.verdict, LB_FORWARD) << row.to;
    const size_t index = RealOf(outcome.out).mapped()[15] - 1;
    EXPECT_EQ(vips.at(index), row.vip) << row.to;
  }
}

TEST(WideVipTest, EveryPortOfManyRangesIsFound) {
  Services services;
  for (int i = 0; i < 200; ++i) {
    services.push_back(MakeService(Key("192.0.2.1:" + std::to_string(1000 + 10 * i) + "-" +
                                       std::to_string(1008 + 10 * i) + "/tcp"),
                                   {Real4(i + 1)}));
  }
  Balancer balancer({}, kFeatures);
  balancer.Serve(services);
  for (int port = 995; port < 3010; ++port) {
    const ProgRun run = balancer.SendFast(PacketTo("192.0.2.1:" + std::to_string(port) + "/tcp"));
    const bool inside = port >= 1000 && port < 3000 && port % 10 != 9;
    ASSERT_EQ(run.action == XDP_TX, inside) << port;
    if (!inside) continue;
    ASSERT_EQ(RealOf(run.out), Real4((port - 1000) / 10 + 1)) << port;
  }
}

TEST(WideVipTest, WhatIsTakenAwayIsFoundNoMore) {
  Balancer balancer({}, kFeatures);
  const auto wide = MakeService(Key("192.0.2.0/24:any/tcp"), {Real4(1)});
  const auto narrow = MakeService(Key("192.0.2.0/28:any/tcp"), {Real4(2)});
  const auto range = MakeService(Key("192.0.2.1:80-90/tcp"), {Real4(3)});
  const Bytes packet = PacketTo("192.0.2.1:80/tcp");
  for (int round = 0; round < 3; ++round) {
    balancer.Serve({wide, narrow, range});
    EXPECT_EQ(RealOf(balancer.Send(packet).out), Real4(3));
    balancer.Serve({wide, narrow});
    EXPECT_EQ(RealOf(balancer.Send(packet).out), Real4(2));
    balancer.Serve({wide});
    EXPECT_EQ(RealOf(balancer.Send(packet).out), Real4(1));
    balancer.Serve({});
    EXPECT_EQ(balancer.Send(packet).verdict, LB_NOT_VIP);
  }
}

TEST(WideVipTest, PingsToAnAddressOfAPrefixAreAnswered) {
  Balancer balancer({}, kFeatures);
  balancer.Serve({MakeService(Key("192.0.2.0/25:80/tcp"), {Real4(1)}),
                  MakeService(Key("192.0.2.200:80-81/tcp"), {Real4(1)}),
                  MakeService(Key("[2001:db8:5::/64]:80/tcp"), {Real6(1)})});
  const auto ping = [&](std::string_view to) {
    const IpAddress address = Address(to);
    const bool v4 = address.is_v4();
    return balancer
        .Send(Ethernet({}, Ip({.source = v4 ? kClient4 : kClient6, .destination = address},
                              v4 ? Icmp({}) : Icmp6({.type = kEchoRequest6}))))
        .verdict;
  };
  EXPECT_EQ(ping("192.0.2.127"), LB_ECHO_REPLY);
  EXPECT_EQ(ping("192.0.2.128"), LB_NOT_VIP);
  EXPECT_EQ(ping("192.0.2.200"), LB_ECHO_REPLY);
  EXPECT_EQ(ping("2001:db8:5::77"), LB_ECHO_REPLY);
  EXPECT_EQ(ping("2001:db8:5:1::77"), LB_NOT_VIP);
}

// One ring, one set of reals and counters.
TEST(WideVipTest, BothProtocolsOfAVipShareItsReals) {
  for (const char* text : {"192.0.2.80:443/tcp_udp", "192.0.2.0/24:443/tcp_udp"}) {
    Balancer balancer({}, kFeatures);
    const model::VipKey vip = Key(text);
    balancer.Serve({MakeService(vip, {Real4(1), Real4(2)})});
    EXPECT_EQ(balancer.Send(PacketTo("192.0.2.80:443/tcp")).verdict, LB_FORWARD);
    EXPECT_EQ(balancer.Send(PacketTo("192.0.2.80:443/udp")).verdict, LB_FORWARD);
    EXPECT_EQ(balancer.Send(PacketTo("192.0.2.80:444/udp")).verdict, LB_NOT_VIP);
    EXPECT_EQ(balancer.CounterOf(vip, Real4(1)).packets + balancer.CounterOf(vip, Real4(2)).packets,
              2u);
    balancer.Serve({MakeService(vip, {Real4(3)})});
    balancer.Settle();
    EXPECT_EQ(RealOf(balancer.Send(PacketTo("192.0.2.80:443/tcp")).out), Real4(3));
    EXPECT_EQ(RealOf(balancer.Send(PacketTo("192.0.2.80:443/udp")).out), Real4(3));
    balancer.Serve({});
    EXPECT_EQ(balancer.Send(PacketTo("192.0.2.80:443/tcp")).verdict, LB_NOT_VIP);
    EXPECT_EQ(balancer.Send(PacketTo("192.0.2.80:443/udp")).verdict, LB_NOT_VIP);
  }
}

// A client may use one port towards many addresses: these are different flows.
TEST(WideVipTest, FlowsToDifferentAddressesOfAPrefixAreDifferentFlows) {
  Balancer balancer({}, kFeatures);
  const model::VipKey vip = Key("192.0.2.0/24:80/tcp");
  balancer.Serve({MakeService(vip, {Real4(1), Real4(2), Real4(3), Real4(4)})});
  std::set<IpAddress> reals;
  for (int host = 0; host < 64; ++host) {
    reals.insert(
        RealOf(balancer.SendFast(PacketTo("192.0.2." + std::to_string(host) + ":80/tcp")).out));
  }
  EXPECT_EQ(reals.size(), 4u);
}

TEST(WideVipTest, ConnectionsToAPrefixOrARangeSurviveChangesAndRestarts) {
  for (const char* text :
       {"192.0.2.0/24:80/tcp", "192.0.2.80:80-90/tcp", "192.0.2.80:80/tcp_udp"}) {
    Balancer balancer({}, kFeatures);
    const model::VipKey vip = Key(text);
    const auto before = MakeService(vip, {Real4(1), Real4(2)});
    const auto after = MakeService(vip, {Real4(1), Real4(2), Real4(3), Real4(4)});
    const auto frame = [](uint32_t flow, uint8_t flags) {
      return Ethernet({}, Ip({.source = kClient4, .destination = kVip4},
                             Tcp({.source = static_cast<uint16_t>(2000 + flow), .flags = flags})));
    };
    balancer.Serve({before});
    std::vector<IpAddress> reals;
    for (uint32_t flow = 0; flow < 200; ++flow) {
      reals.push_back(RealOf(balancer.SendFast(frame(flow, 0x02)).out));
    }
    balancer.Serve({after});
    const auto expect_unmoved = [&](const char* when) {
      for (uint32_t flow = 0; flow < 200; ++flow) {
        ASSERT_EQ(RealOf(balancer.SendFast(frame(flow, 0x10)).out), reals[flow])
            << text << " " << when << " " << flow;
      }
    };
    expect_unmoved("after the change");
    EXPECT_TRUE(balancer.HasFlows());
    balancer.Restart({after}, [&] { expect_unmoved("while another takes over"); });
    expect_unmoved("after the restart");
    balancer.Pass(1000);
    balancer.Sweep();
    expect_unmoved("after the window");
  }
}

TEST(WideVipTest, MorePiecesThanThereIsRoomForAreRefusedAndNothingChanges) {
  model::Settings settings;
  settings.limits = {.vips = 2, .reals = 64, .ring_slots = 1 << 14};
  Balancer balancer(settings, kFeatures);
  const auto good = MakeService(Key("192.0.2.0/24:any/tcp"), {Real4(1)});
  balancer.Serve({good});
  Services many{good};
  for (int i = 0; i < 30; ++i) {
    many.push_back(
        MakeService(Key("192.0.2.0/24:" + std::to_string(10 + 2 * i) + "/tcp"), {Real4(1)}));
  }
  const Status status = balancer.forwarder().Update(many);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(balancer.Send(PacketTo("192.0.2.9:80/tcp")).verdict, LB_FORWARD);
  balancer.Serve({good, MakeService(Key("192.0.2.0/24:80/tcp"), {Real4(2)})});
  EXPECT_EQ(RealOf(balancer.Send(PacketTo("192.0.2.9:80/tcp")).out), Real4(2));
}

}  // namespace
}  // namespace lb::testing
