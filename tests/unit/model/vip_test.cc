// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/vip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lbd/model/find_route.h"
#include "tests/unit/model/config_testing.h"

namespace lb::model {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(VipKeyTest, ReadsAddressPortAndProtocol) {
  EXPECT_EQ(Key("192.0.2.1:80/tcp"), (VipKey{Ip("192.0.2.1"), 80, Protocol::kTcp}));
  EXPECT_EQ(Key("[2001:db8::1]:443/udp"), (VipKey{Ip("2001:db8::1"), 443, Protocol::kUdp}));
  EXPECT_EQ(Key("192.0.2.1:65535/udp"), (VipKey{Ip("192.0.2.1"), 65535, Protocol::kUdp}));
  EXPECT_EQ(Key("192.0.2.1:any/tcp"), (VipKey{Ip("192.0.2.1"), 0, Protocol::kTcp}));
}

TEST(VipKeyTest, ReadsPrefixesAndRanges) {
  const VipKey key = Key("192.0.2.0/24:8000-8100/tcp_udp");
  EXPECT_EQ(key.prefix(), IpPrefix::Parse("192.0.2.0/24").value());
  EXPECT_EQ(key.host_bits, 8);
  EXPECT_EQ(key.ports(), std::pair(uint16_t{8000}, uint16_t{8100}));
  EXPECT_TRUE(key.Serves(Protocol::kTcp) && key.Serves(Protocol::kUdp));
  EXPECT_EQ(Key("192.0.2.1/32:80"), Key("192.0.2.1:80"));
  EXPECT_EQ(Key("[2001:db8::/32]:any/udp").host_bits, 96);
  EXPECT_EQ(Key("192.0.2.1:any").ports(), std::pair(uint16_t{0}, uint16_t{65535}));
}

TEST(RouteVipTest, TheRealsOfTheVipStandBy) {
  Vip vip = VipOf("192.0.2.1:80/tcp", {"10.0.0.1", "10.0.0.2", "10.0.0.3"});
  vip.reals[1].state = RealState::kDown;
  const SourceRoute route{.name = "site",
                          .reals = {{.address = Ip("10.0.0.9")}, {.address = Ip("10.0.0.3")}}};
  const Vip group = RouteVip(vip, route);
  EXPECT_EQ(group.key.route, RouteNumber("site"));
  EXPECT_NE(group.key.route, 0);
  ASSERT_EQ(group.reals.size(), 4u);
  EXPECT_EQ(group.FindReal(Ip("10.0.0.9"))->state, RealState::kActive);
  EXPECT_EQ(group.FindReal(Ip("10.0.0.3"))->state, RealState::kActive);
  EXPECT_EQ(group.FindReal(Ip("10.0.0.1"))->state, RealState::kStandby);
  EXPECT_EQ(group.FindReal(Ip("10.0.0.2"))->state, RealState::kDown);
}

TEST(FindRouteTest, FindsByNumber) {
  Vip vip = VipOf("192.0.2.1:80/tcp", {"10.0.0.1"});
  vip.source_routes = {{.name = "site"}, {.name = "lab"}};
  EXPECT_EQ(FindRoute(vip, RouteNumber("lab")), &vip.source_routes[1]);
  EXPECT_EQ(FindRoute(vip, RouteNumber("other")), nullptr);
  EXPECT_EQ(FindRoute(vip, 0), nullptr);
}

TEST(VipKeyTest, IsTcpWhereNothingElseIsSaid) {
  EXPECT_EQ(Key("192.0.2.1:80"), Key("192.0.2.1:80/tcp"));
  EXPECT_EQ(Key("[::2]:80"), Key("[::2]:80/tcp"));
}

TEST(VipKeyTest, ItsTextComesBack) {
  for (const std::string_view text :
       {"192.0.2.1:80/tcp", "[2001:db8::1]:443/udp", "192.0.2.1:any/tcp", "[2001:db8::1]:any/udp",
        "192.0.2.1:65535/udp", "192.0.2.1:1/tcp", "192.0.2.1:53/tcp_udp", "192.0.2.1:1-65535/udp",
        "192.0.2.0/24:80/tcp", "[2001:db8::/33]:8000-8100/tcp_udp", "10.0.0.0/8:any/udp"}) {
    EXPECT_EQ(Key(text).ToString(), text);
  }
}

TEST(VipKeyTest, SaysWhatIsWrongAndHowToWriteIt) {
  constexpr std::string_view kRows[][2] = {
      {"192.0.2.1:80/sctp", "the protocol must be tcp, udp or tcp_udp, got \"sctp\""},
      {"192.0.2.1:80/TCP", "the protocol must be tcp, udp or tcp_udp, got \"TCP\""},
      {"192.0.2.1:80/", "the protocol must be tcp, udp or tcp_udp, got \"\""},
      {"192.0.2.1", "the port is missing"},
      {"192.0.2.1/tcp", "the port is missing"},
      {"", "the port is missing"},
      {"[2001:db8::1]", "the port is missing"},
      {"[2001:db8::1]/tcp", "the port is missing"},
      {"[", "the port is missing"},
      {"[:80", "the port is missing"},
      {"[]:80", "\"\" is not an IPv4 or IPv6 address"},
      {"2001:db8::1:80/tcp", "an IPv6 address needs brackets"},
      {"::/tcp", "an IPv6 address needs brackets"},
      {"host:80/tcp", "\"host\" is not an IPv4 or IPv6 address"},
      {":80/tcp", "\"\" is not an IPv4 or IPv6 address"},
      {"192.0.2.1:0/tcp",
       "the port must be 1..65535, a range such as 8000-8100, or \"any\", got \"0\""},
      {"192.0.2.1:65536/tcp",
       "the port must be 1..65535, a range such as 8000-8100, or \"any\", got \"65536\""},
      {"192.0.2.1:-1/tcp",
       "the port must be 1..65535, a range such as 8000-8100, or \"any\", got \"-1\""},
      {"192.0.2.1:80x/tcp",
       "the port must be 1..65535, a range such as 8000-8100, or \"any\", got \"80x\""},
      {"192.0.2.1:/tcp",
       "the port must be 1..65535, a range such as 8000-8100, or \"any\", got \"\""},
      {"192.0.2.1:80-80/tcp", "got \"80-80\""},
      {"192.0.2.1:81-80/tcp", "got \"81-80\""},
      {"192.0.2.1:80-/tcp", "got \"80-\""},
      {"192.0.2.1:1-65536/tcp", "got \"1-65536\""},
      {"192.0.2.1:0-5/tcp", "got \"0-5\""},
      {"192.0.2.1/24:80/tcp", "did you mean 192.0.2.0/24?"},
      {"192.0.2.0/33:80/tcp", "the prefix length must be 0..32, got \"33\""},
      {"[2001:db8::/129]:80/tcp", "the prefix length must be 0..128, got \"129\""},
      {"192.0.2.1:*/tcp",
       "the port must be 1..65535, a range such as 8000-8100, or \"any\", got \"*\""},
  };
  for (const auto& [text, why] : kRows) {
    const auto key = VipKey::Parse(text);
    ASSERT_EQ(key.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(Message(key.status()), StartsWith("\"" + std::string(text) + "\": "));
    EXPECT_THAT(Message(key.status()), HasSubstr(std::string(why) + "; write a VIP as 192.0.2.1:"));
  }
}

TEST(VipKeyTest, EveryPartTellsKeysApart) {
  const VipKey key = Key("192.0.2.1:80/tcp");
  for (const std::string_view other :
       {"192.0.2.2:80/tcp", "192.0.2.1:81/tcp", "192.0.2.1:80/udp", "192.0.2.1:any/tcp"}) {
    EXPECT_NE(Key(other), key);
  }
}

TEST(VipTest, FindsItsRealsByAddress) {
  const Vip vip = VipOf("192.0.2.1:80", {"10.0.0.1", "2001:db8::1"});
  EXPECT_EQ(vip.FindReal(Ip("2001:db8::1")), &vip.reals[1]);
  EXPECT_EQ(vip.FindReal(Ip("10.0.0.2")), nullptr);
}

TEST(VipTest, RingGrowsWithTheNumberOfReals) {
  constexpr std::pair<size_t, int> kSteps[] = {{0, 14},    {1, 14},    {64, 14},   {65, 15},
                                               {128, 15},  {129, 16},  {256, 16},  {257, 17},
                                               {1024, 18}, {1025, 19}, {4096, 20}, {8192, 20}};
  for (const auto& [reals, bits] : kSteps) {
    const Vip vip{.reals = std::vector<Real>(reals)};
    EXPECT_EQ(RingBits(vip), bits) << reals;
  }
}

TEST(VipTest, ConfiguredRingBitsAreKept) {
  const Vip vip{.ring = {.bits = 9}, .reals = std::vector<Real>(300)};
  EXPECT_EQ(RingBits(vip), 9);
}

TEST(VipTest, EnumsHaveTheNamesOfTheConfiguration) {
  EXPECT_EQ(ToString(Protocol::kTcp), "tcp");
  EXPECT_EQ(ToString(Protocol::kUdp), "udp");
  EXPECT_EQ(ToString(RingScheme::kRendezvous), "rendezvous");
  EXPECT_EQ(ToString(RingScheme::kMaglev), "maglev");
  EXPECT_EQ(ToString(Tracking::kAuto), "auto");
  EXPECT_EQ(ToString(Tracking::kAlways), "always");
  EXPECT_EQ(ToString(Tracking::kNone), "none");
  EXPECT_EQ(ToString(RealState::kActive), "active");
  EXPECT_EQ(ToString(RealState::kDraining), "draining");
  EXPECT_EQ(ToString(RealState::kDown), "down");
  EXPECT_EQ(ToString(RealState::kStandby), "standby");
}

TEST(VipTest, ProbesGoToAnAddressThatHostsAnswerFor) {
  const HealthCheck check{.kind = TcpCheck()};
  const auto probed = [&](std::string_view key) {
    return ProbedAddress(Key(key), check).ToString();
  };
  EXPECT_EQ(probed("192.0.2.7:80/tcp"), "192.0.2.7");
  EXPECT_EQ(probed("192.0.2.6/31:80/tcp"), "192.0.2.6") << "RFC 3021: both are hosts";
  EXPECT_EQ(probed("192.0.2.0/24:80/tcp"), "192.0.2.1") << "the first may be a broadcast";
  EXPECT_EQ(probed("[2001:db8::/64]:80/tcp"), "2001:db8::1") << "the first is any router";
  EXPECT_EQ(ProbedPort(Key("192.0.2.7:8000-8100/tcp"), check), 8000);
  EXPECT_EQ(ProbedPort(Key("192.0.2.7:80/tcp"), {.kind = TcpCheck(), .port = 81}), 81);
  EXPECT_EQ(ProbedPort(Key("192.0.2.7:80/tcp"), {.kind = IcmpCheck()}), 0);
}

}  // namespace
}  // namespace lb::model
