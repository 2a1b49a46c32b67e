// SPDX-License-Identifier: Apache-2.0
// Clients that have reals of their own.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

constexpr uint32_t kFeatures = LB_FEATURES;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kAck = 0x10;

IpPrefix Prefix(std::string_view text) { return IpPrefix::Parse(text).value(); }

model::SourceRoute RouteOf(std::string name, const std::vector<std::string>& sources,
                           const std::vector<IpAddress>& reals) {
  model::SourceRoute route{.name = std::move(name)};
  for (const std::string& source : sources) route.sources.push_back(Prefix(source));
  for (const IpAddress& real : reals) route.reals.push_back({.address = real});
  return route;
}

// What the controller makes of a VIP: itself, then its routes.
Services Expand(dataplane::Service service) {
  Services services{service};
  for (const model::SourceRoute& route : service.vip.source_routes) {
    const model::Vip group = model::RouteVip(service.vip, route);
    // The VIP's own reals, which stand by, come last.
    const size_t serve = route.reals.empty() ? group.reals.size() : route.reals.size();
    model::Ring ring(256, 0);
    for (size_t i = 0; i < ring.size(); ++i) ring[i] = static_cast<uint16_t>(1 + i % serve);
    services.push_back({group, std::make_shared<const model::Ring>(ring)});
  }
  return services;
}

dataplane::Service ServiceOf(std::string_view key, std::vector<model::SourceRoute> routes) {
  dataplane::Service service = MakeService(Key(key), {Real4(1)});
  service.vip.source_routes = std::move(routes);
  return service;
}

Bytes From(std::string_view source, std::string_view to, uint8_t flags = kSyn,
           uint16_t port = kClientPort) {
  const model::VipKey vip = Key(to);
  const IpHeader header{.source = Address(source), .destination = vip.address};
  return Ethernet({},
                  Ip(header, vip.protocol == model::Protocol::kUdp
                                 ? Udp({.source = port, .destination = vip.port})
                                 : Tcp({.source = port, .destination = vip.port, .flags = flags})));
}

TEST(SourceRouteTest, TheLongestPrefixOfTheClientChoosesTheReals) {
  Balancer balancer({}, kFeatures);
  balancer.Serve(
      Expand(ServiceOf("192.0.2.80:80/tcp_udp",
                       {RouteOf("wide", {"198.51.0.0/16"}, {Real4(2)}),
                        RouteOf("narrow", {"198.51.100.0/24", "203.0.113.7/32"}, {Real6(3)})})));
  for (const char* to : {"192.0.2.80:80/tcp", "192.0.2.80:80/udp"}) {
    const auto real_of = [&](std::string_view source) {
      return RealOf(balancer.Send(From(source, to)).out);
    };
    EXPECT_EQ(real_of("198.50.1.1"), Real4(1));
    EXPECT_EQ(real_of("198.51.1.1"), Real4(2));
    EXPECT_EQ(real_of("198.51.100.255"), Real6(3));
    EXPECT_EQ(real_of("203.0.113.7"), Real6(3));
    EXPECT_EQ(real_of("203.0.113.8"), Real4(1));
  }
}

TEST(SourceRouteTest, Ipv6ClientsAndPrefixVips) {
  Balancer balancer({}, kFeatures);
  balancer.Serve(Expand(
      ServiceOf("[2001:db8:5::/64]:443/tcp", {RouteOf("site", {"2001:db8:c::/48"}, {Real6(2)})})));
  const auto real_of = [&](std::string_view source) {
    return RealOf(balancer.Send(From(source, "[2001:db8:5::9]:443/tcp")).out);
  };
  EXPECT_EQ(real_of("2001:db8:c::1"), Real6(2));
  EXPECT_EQ(real_of("2001:db8:d::1"), Real4(1));
}

// A site that is gone must not take its clients with it.
TEST(SourceRouteTest, WhereNoRealOfTheRouteServesTheVipsOwnDo) {
  Balancer balancer({}, kFeatures);
  balancer.Serve(
      Expand(ServiceOf("192.0.2.80:80/tcp", {RouteOf("site", {"198.51.100.0/24"}, {})})));
  EXPECT_EQ(RealOf(balancer.Send(From("198.51.100.7", "192.0.2.80:80/tcp")).out), Real4(1));
}

TEST(SourceRouteTest, RoutesComeGoAndCountByThemselves) {
  Balancer balancer({}, kFeatures);
  const auto real_of = [&] {
    return RealOf(balancer.Send(From("198.51.100.7", "192.0.2.80:80/tcp")).out);
  };
  const auto site = RouteOf("site", {"198.51.100.0/24"}, {Real4(2)});
  const auto other = RouteOf("other", {"198.51.100.0/28"}, {Real4(3)});
  for (int round = 0; round < 3; ++round) {
    balancer.Serve(Expand(ServiceOf("192.0.2.80:80/tcp", {})));
    EXPECT_EQ(real_of(), Real4(1));
    balancer.Serve(Expand(ServiceOf("192.0.2.80:80/tcp", {site})));
    EXPECT_EQ(real_of(), Real4(2));
    balancer.Serve(Expand(ServiceOf("192.0.2.80:80/tcp", {site, other})));
    EXPECT_EQ(real_of(), Real4(3));
    model::VipKey group = Key("192.0.2.80:80/tcp");
    group.route = model::RouteNumber("other");
    EXPECT_EQ(balancer.CounterOf(group, Real4(3)).packets, 1u);
    balancer.Serve(Expand(ServiceOf("192.0.2.80:80/tcp", {other})));
    EXPECT_EQ(real_of(), Real4(3));
  }
  balancer.Serve({});
  EXPECT_EQ(balancer.Send(From("198.51.100.7", "192.0.2.80:80/tcp")).verdict, LB_NOT_VIP);
}

TEST(SourceRouteTest, ConnectionsSurviveChangesOfTheirReals) {
  Balancer balancer({}, kFeatures);
  const auto with = [](const std::vector<IpAddress>& reals) {
    return Expand(ServiceOf("192.0.2.80:80/tcp", {RouteOf("site", {"198.51.100.0/24"}, reals)}));
  };
  const auto frame = [](uint16_t flow, uint8_t flags) {
    return From("198.51.100.7", "192.0.2.80:80/tcp", flags, static_cast<uint16_t>(1000 + flow));
  };
  balancer.Serve(with({Real4(2), Real4(3)}));
  std::vector<IpAddress> reals;
  for (uint16_t flow = 0; flow < 100; ++flow) {
    reals.push_back(RealOf(balancer.SendFast(frame(flow, kSyn)).out));
  }
  const Services after = with({Real4(2), Real4(3), Real4(4), Real4(5)});
  balancer.Serve(after);
  const auto expect_unmoved = [&](const char* when) {
    for (uint16_t flow = 0; flow < 100; ++flow) {
      ASSERT_EQ(RealOf(balancer.SendFast(frame(flow, kAck)).out), reals[flow]) << when;
    }
  };
  expect_unmoved("after the change");
  balancer.Restart(after, [&] { expect_unmoved("while another takes over"); });
  expect_unmoved("after the restart");
}

TEST(SourceRouteTest, ListsAndRatesOfTheVipHoldForAll) {
  Balancer balancer({}, kFeatures);
  dataplane::Service service =
      ServiceOf("192.0.2.80:80/tcp", {RouteOf("site", {"198.51.100.0/24"}, {Real4(2)})});
  service.vip.sources.deny = {Prefix("198.51.100.8/32")};
  balancer.Serve(Expand(service));
  EXPECT_EQ(balancer.Send(From("198.51.100.8", "192.0.2.80:80/tcp")).verdict, LB_SOURCE_DENIED);
  EXPECT_EQ(RealOf(balancer.Send(From("198.51.100.9", "192.0.2.80:80/tcp")).out), Real4(2));
}

}  // namespace
}  // namespace lb::testing
