// SPDX-License-Identifier: Apache-2.0
// Which packets belong to which VIP.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

Bytes TcpTo(const IpAddress& destination, uint16_t port) {
  const IpAddress source = destination.is_v4() ? kClient4 : kClient6;
  return Ethernet({},
                  Ip({.source = source, .destination = destination}, Tcp({.destination = port})));
}

Bytes UdpTo(const IpAddress& destination, uint16_t port) {
  const IpAddress source = destination.is_v4() ? kClient4 : kClient6;
  return Ethernet({},
                  Ip({.source = source, .destination = destination}, Udp({.destination = port})));
}

// VIP `number`, each with a real of its own so that it is seen which one was found.
dataplane::Service NumberedService(int number) {
  model::VipKey key{.address = {},
                    .port = static_cast<uint16_t>(number % 3 == 0 ? 0 : 80),
                    .protocol = number % 2 == 0 ? model::Protocol::kTcp : model::Protocol::kUdp};
  IpAddress::Bytes bytes = {0x20, 0x01, 0x0d, 0xb8};
  if (number % 5 != 0) bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0};
  bytes[14] = static_cast<uint8_t>(number >> 8);
  bytes[15] = static_cast<uint8_t>(number);
  key.address = IpAddress(bytes);
  return MakeService(key, {Real4(number + 1)});
}

Bytes PacketTo(const model::VipKey& vip) { return Flow(0, vip); }

TEST(VipTest, OwnPortComesBeforeAnyPort) {
  Balancer balancer;
  balancer.Serve({MakeService({kVip4, 80, model::Protocol::kTcp}, {Real4(1)}),
                  MakeService({kVip4, 0, model::Protocol::kTcp}, {Real4(2)})});
  EXPECT_EQ(RealOf(balancer.Send(TcpTo(kVip4, 80)).out), Real4(1));
  for (const uint16_t port : {0, 1, 79, 81, 443, 20480, 65535}) {
    EXPECT_EQ(RealOf(balancer.Send(TcpTo(kVip4, port)).out), Real4(2)) << port;
  }
  EXPECT_EQ(balancer.Send(UdpTo(kVip4, 80)).verdict, LB_NOT_VIP);
}

TEST(VipTest, EveryPortHasItsOwnReals) {
  Balancer balancer;
  balancer.Serve({MakeService({kVip4, 80, model::Protocol::kTcp}, {Real4(1)}),
                  MakeService({kVip4, 443, model::Protocol::kTcp}, {Real4(2)}),
                  MakeService({kVip4, 80, model::Protocol::kUdp}, {Real4(3)}),
                  MakeService({kVip6, 80, model::Protocol::kTcp}, {Real4(4)})});
  EXPECT_EQ(RealOf(balancer.Send(TcpTo(kVip4, 80)).out), Real4(1));
  EXPECT_EQ(RealOf(balancer.Send(TcpTo(kVip4, 443)).out), Real4(2));
  EXPECT_EQ(RealOf(balancer.Send(UdpTo(kVip4, 80)).out), Real4(3));
  EXPECT_EQ(RealOf(balancer.Send(TcpTo(kVip6, 80)).out), Real4(4));
}

TEST(VipTest, WhatNoVipWantsPassesUntouched) {
  Balancer balancer;
  balancer.Serve({MakeService({kVip4, 80, model::Protocol::kTcp}, {Real4(1)}),
                  MakeService({kVip6, 53, model::Protocol::kUdp}, {Real6(1)})});
  EXPECT_EQ(balancer.Send(TcpTo(kVip4, 81)).verdict, LB_NOT_VIP);      // another port
  EXPECT_EQ(balancer.Send(TcpTo(kVip4, 0x5000)).verdict, LB_NOT_VIP);  // 80 with bytes swapped
  EXPECT_EQ(balancer.Send(UdpTo(kVip4, 80)).verdict, LB_NOT_VIP);      // another protocol
  EXPECT_EQ(balancer.Send(TcpTo(kHost4, 80)).verdict, LB_NOT_VIP);     // another address
  EXPECT_EQ(balancer.Send(TcpTo(kVip6, 53)).verdict, LB_NOT_VIP);
  EXPECT_EQ(balancer.Send(UdpTo(kVip6, 54)).verdict, LB_NOT_VIP);
  EXPECT_EQ(balancer.Send(UdpTo(kHost6, 53)).verdict, LB_NOT_VIP);
}

TEST(VipTest, EmptyBalancerPassesEverything) {
  Balancer balancer;
  for (const IpAddress& destination : {kVip4, kVip6, Address("0.0.0.0"), Address("::")}) {
    EXPECT_EQ(balancer.Send(TcpTo(destination, 0)).verdict, LB_NOT_VIP);
    EXPECT_EQ(balancer.Send(UdpTo(destination, 80)).verdict, LB_NOT_VIP);
  }
}

// Tables hold IPv4 addresses mapped into IPv6; that must not show on the wire.
TEST(VipTest, MappedAddressInAnIpv6PacketIsNoIpv4Vip) {
  Balancer balancer;
  balancer.Serve({MakeService({kVip4, 80, model::Protocol::kTcp}, {Real4(1)})});
  Bytes frame = TcpTo(kVip6, 80);
  std::ranges::copy(kVip4.mapped(), frame.begin() + 14 + 24);  // IPv6 destination
  EXPECT_EQ(balancer.Send(frame).verdict, LB_NOT_VIP);
  Bytes ping =
      Ethernet({}, Ip({.source = kClient6, .destination = kVip6}, Icmp6({.type = kEchoRequest6})));
  std::ranges::copy(kVip4.mapped(), ping.begin() + 14 + 24);
  EXPECT_EQ(balancer.Send(ping).verdict, LB_NOT_VIP);
}

TEST(VipTest, EveryOneOfManyVipsIsFound) {
  Balancer balancer;
  Services services;
  for (int i = 0; i < 512; ++i)
    services.push_back(NumberedService(i));  // as many as the limits say
  balancer.Serve(services);
  for (const dataplane::Service& service : services) {
    const Outcome outcome = balancer.Send(PacketTo(service.vip.key));
    ASSERT_EQ(outcome.verdict, LB_FORWARD) << service.vip.key.ToString();
    ASSERT_EQ(RealOf(outcome.out), service.vip.reals.front().address);
  }
}

// The table must take what the limits promise, whichever addresses people choose.
TEST(VipTest, AFullTableHoldsAdjacentAddressesAndAdjacentPorts) {
  Services by_address, by_port;
  for (int i = 0; i < 512; ++i) {
    IpAddress::Bytes bytes = kVip4.mapped();
    bytes[14] = static_cast<uint8_t>(i >> 8);
    bytes[15] = static_cast<uint8_t>(i);
    by_address.push_back(
        MakeService({IpAddress(bytes), 80, model::Protocol::kTcp}, {Real4(i + 1)}));
    by_port.push_back(MakeService({kVip6, static_cast<uint16_t>(8000 + i), model::Protocol::kUdp},
                                  {Real4(i + 1)}));
  }
  for (const Services& services : {by_address, by_port}) {
    Balancer balancer;
    balancer.Serve(services);
    for (const dataplane::Service& service : services) {
      const ProgRun run = balancer.SendFast(PacketTo(service.vip.key));
      ASSERT_EQ(run.action, XDP_TX) << service.vip.key.ToString();
      ASSERT_EQ(RealOf(run.out), service.vip.reals.front().address);
    }
  }
}

TEST(VipTest, RemovedVipPassesAndTheOthersStay) {
  Balancer balancer;
  Services services;
  for (int i = 0; i < 200; ++i) services.push_back(NumberedService(i));
  balancer.Serve(services);
  std::mt19937 random(2);
  std::ranges::shuffle(services, random);
  while (!services.empty()) {
    const Services gone(services.end() - 40, services.end());
    services.resize(services.size() - 40);
    balancer.Serve(services);
    for (const dataplane::Service& service : gone) {
      ASSERT_EQ(balancer.Send(PacketTo(service.vip.key)).verdict, LB_NOT_VIP)
          << service.vip.key.ToString();
    }
    for (const dataplane::Service& service : services) {
      ASSERT_EQ(RealOf(balancer.SendFast(PacketTo(service.vip.key)).out),
                service.vip.reals.front().address);
    }
  }
}

TEST(VipTest, RemovedVipTakesItsAddressOnlyWithTheLastOfIt) {
  Balancer balancer;
  const auto tcp = MakeService({kVip4, 80, model::Protocol::kTcp}, {Real4(1)});
  const auto udp = MakeService({kVip4, 80, model::Protocol::kUdp}, {Real4(1)});
  // A later fragment whose first was not seen: all that is known of it is the address.
  const Bytes fragment =
      Ethernet({}, Ip({.source = kClient4, .destination = kVip4, .fragment = 0x2001}, Tcp({})));
  balancer.Serve({tcp, udp});
  EXPECT_EQ(balancer.Send(fragment).verdict, LB_FRAGMENT);
  balancer.Serve({udp});
  EXPECT_EQ(balancer.Send(fragment).verdict, LB_FRAGMENT);
  balancer.Serve({});
  EXPECT_EQ(balancer.Send(fragment).verdict, LB_NOT_VIP);
  balancer.Serve({tcp});
  EXPECT_EQ(balancer.Send(fragment).verdict, LB_FRAGMENT);
}

}  // namespace
}  // namespace lb::testing
