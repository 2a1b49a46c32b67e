// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/next_hop.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/net_ns.h"

namespace lb::dataplane {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

// The kernel asks a neighbour that failed again every 5 s: neigh/default/interval_probe_time_ms.
constexpr milliseconds kPatience{12000};

// The load balancer's interface lb0 (10.9.0.1, fd09::1) and a neighbour (10.9.0.2, 10.9.0.3,
// fd09::2, fe80::2), each in its namespace.
class NextHopTest : public ::testing::Test {
 protected:
  static constexpr const char* kOurMac = "02:00:00:00:09:01";
  static constexpr const char* kPeerMac = "02:00:00:00:09:02";

  void SetUp() override {
    auto here = testing::NetNs::Create();
    ASSERT_TRUE(here.ok()) << here.status();
    here_.emplace(*std::move(here));
    auto peer = testing::NetNs::Create();
    ASSERT_TRUE(peer.ok()) << peer.status();
    peer_.emplace(*std::move(peer));
    inside_.emplace(*here_);
    Here(fmt::format("ip link add lb0 address {} type veth peer name r0 address {} netns {}",
                     kOurMac, kPeerMac, peer_->path()));
    // Silent neighbours fail soon.
    for (const char* family : {"ipv4", "ipv6"}) {
      Here(
          fmt::format("sysctl -qw net.{0}.neigh.lb0.mcast_solicit=1 "
                      "net.{0}.neigh.lb0.retrans_time_ms=200",
                      family));
    }
    Here("sysctl -qw net.ipv6.conf.lb0.accept_dad=0");
    Here("ip addr add 10.9.0.1/24 dev lb0 && ip addr add fd09::1/64 dev lb0 nodad");
    Peer("sysctl -qw net.ipv6.conf.r0.accept_dad=0 net.ipv6.conf.r0.addr_gen_mode=1");
    Peer("ip addr add 10.9.0.2/24 dev r0 && ip addr add 10.9.0.3/24 dev r0");
    Peer("ip addr add fd09::2/64 dev r0 nodad && ip addr add fe80::2/64 dev r0 nodad");
    Peer("ip link set r0 up");
    Here("ip link set lb0 up");  // second, and has its carrier at once
    auto resolver = NextHopResolver::Create();
    ASSERT_TRUE(resolver.ok()) << resolver.status();
    resolver_ = *std::move(resolver);
  }

  void Here(const std::string& command) { Check(here_->Run(command)); }
  void Peer(const std::string& command) { Check(peer_->Run(command)); }
  static void Check(const Status& status) { ASSERT_TRUE(status.ok()) << status; }

  std::string Neighbours() { return here_->Output("ip -d neigh show dev lb0").value(); }

  static IpAddress Address(std::string_view text) { return IpAddress::Parse(text).value(); }

  NextHopResult Resolve(std::string_view real) {
    const IpAddress reals[] = {Address(real)};
    return resolver_->ResolveAll(reals).front();
  }

  // Waits for events that mean a change; false: none came.
  bool Changed(milliseconds patience = kPatience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
      const auto left =
          std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd waiting{.fd = resolver_->event_fd(), .events = POLLIN, .revents = 0};
      if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return false;
      ++wakeups_;
      if (resolver_->DrainEvents()) return true;
    }
  }

  // The first answer that is as wanted, asking only after events that mean a change; or the last.
  NextHopResult Await(std::string_view real,
                      const std::function<bool(const NextHopResult&)>& wanted) {
    NextHopResult result = Resolve(real);
    while (!wanted(result) && Changed()) result = Resolve(real);
    return result;
  }
  NextHopResult AwaitResolved(std::string_view real) {
    return Await(real, [](const NextHopResult& result) { return result.problem.empty(); });
  }
  NextHopResult AwaitProblem(std::string_view real, std::string_view text) {
    return Await(real, [&](const NextHopResult& result) {
      return result.problem.find(text) != std::string::npos;
    });
  }
  // Reads what events are still to come from the past.
  void Settle() {
    while (Changed(milliseconds(300))) {
    }
  }

  std::optional<testing::NetNs> here_;
  std::optional<testing::NetNs> peer_;
  std::optional<testing::NetNs::Inside> inside_;
  std::unique_ptr<NextHopResolver> resolver_;
  int wakeups_ = 0;
};

TEST_F(NextHopTest, ANeighbourIsItsOwnNextHop) {
  const NextHopResult result = AwaitResolved("10.9.0.2");
  EXPECT_EQ(result.problem, "");
  EXPECT_FALSE(result.pending);
  EXPECT_EQ(result.hop.destination.ToString(), kPeerMac);
  EXPECT_EQ(result.hop.source.ToString(), kOurMac);
  EXPECT_EQ(result.hop.ifindex, static_cast<int>(if_nametoindex("lb0")));
  EXPECT_EQ(result.hop.interface, "lb0");
  EXPECT_EQ(result.hop.mtu, 1500u);
  EXPECT_EQ(result.hop.via, Address("10.9.0.2"));
}

TEST_F(NextHopTest, ANewNeighbourIsPendingUntilItAnswers) {
  const NextHopResult result = Resolve("10.9.0.2");
  EXPECT_TRUE(result.pending);
  EXPECT_EQ(result.problem, "10.9.0.2 on lb0 is being resolved");
  EXPECT_TRUE(Changed());
  EXPECT_EQ(Resolve("10.9.0.2").problem, "");
}

TEST_F(NextHopTest, TheKernelKeepsTheNeighbourFresh) {
  EXPECT_EQ(AwaitResolved("10.9.0.2").problem, "");
  EXPECT_EQ(AwaitResolved("fd09::2").problem, "");
  EXPECT_THAT(Neighbours(), HasSubstr(fmt::format("10.9.0.2 lladdr {} managed", kPeerMac)));
  EXPECT_THAT(Neighbours(), HasSubstr(fmt::format("fd09::2 lladdr {} managed", kPeerMac)));
}

TEST_F(NextHopTest, AKnownNeighbourStaysUsableWhileItBecomesManaged) {
  Here(fmt::format("ip neigh add 10.9.0.2 lladdr {} dev lb0 nud stale", kPeerMac));
  EXPECT_EQ(Resolve("10.9.0.2").problem, "");
  EXPECT_THAT(Neighbours(), HasSubstr(fmt::format("10.9.0.2 lladdr {} managed", kPeerMac)));
}

TEST_F(NextHopTest, RealsBehindAGatewayShareItsAddress) {
  Here("ip route add 10.1.0.0/16 via 10.9.0.2");
  EXPECT_EQ(AwaitResolved("10.1.0.1").problem, "");
  const std::vector reals = {Address("10.1.0.1"), Address("10.1.255.254")};
  const auto results = resolver_->ResolveAll(reals);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].real, reals[0]);
  EXPECT_EQ(results[1].real, reals[1]);
  EXPECT_EQ(results[0].hop, results[1].hop);
  EXPECT_EQ(results[0].hop.via, Address("10.9.0.2"));
  EXPECT_EQ(results[0].hop.destination.ToString(), kPeerMac);
}

TEST_F(NextHopTest, ManyRealsBehindOneGatewayWaitForItTogether) {
  Here("ip route add 10.1.0.0/16 via 10.9.0.9");
  std::vector<IpAddress> reals;
  for (int i = 0; i < 100; ++i) reals.push_back(Address(fmt::format("10.1.0.{}", i)));
  for (const NextHopResult& result : resolver_->ResolveAll(reals)) {
    EXPECT_TRUE(result.pending) << result.problem;
  }
}

TEST_F(NextHopTest, Ipv6NeighboursAreSolicited) {
  const NextHopResult result = AwaitResolved("fd09::2");
  EXPECT_EQ(result.problem, "");
  EXPECT_EQ(result.hop.destination.ToString(), kPeerMac);
  EXPECT_EQ(result.hop.via, Address("fd09::2"));
}

TEST_F(NextHopTest, AnIpv6GatewayMayBeLinkLocal) {
  Here("ip route add fd01::/16 via fe80::2 dev lb0");
  const NextHopResult result = AwaitResolved("fd01::1");
  EXPECT_EQ(result.problem, "");
  EXPECT_EQ(result.hop.destination.ToString(), kPeerMac);
  EXPECT_EQ(result.hop.via, Address("fe80::2"));
}

TEST_F(NextHopTest, AnIpv4RouteMayHaveAnIpv6Gateway) {
  Here("ip route add 10.1.0.0/16 via inet6 fe80::2 dev lb0");
  const NextHopResult result = AwaitResolved("10.1.0.1");
  EXPECT_EQ(result.problem, "");
  EXPECT_EQ(result.hop.destination.ToString(), kPeerMac);
  EXPECT_EQ(result.hop.via, Address("fe80::2"));
}

TEST_F(NextHopTest, AnOnLinkGatewayNeedsNoRouteOfItsOwn) {
  Peer("ip addr add 192.0.2.1/32 dev r0");
  Here("ip route add 10.1.0.0/16 via 192.0.2.1 dev lb0 onlink");
  const NextHopResult result = AwaitResolved("10.1.0.1");
  EXPECT_EQ(result.problem, "");
  EXPECT_EQ(result.hop.via, Address("192.0.2.1"));
}

TEST_F(NextHopTest, AMultipathRouteGivesOneOfItsGateways) {
  Here("ip route add 10.1.0.0/16 nexthop via 10.9.0.2 nexthop via 10.9.0.3");
  const NextHopResult result = AwaitResolved("10.1.0.1");
  EXPECT_EQ(result.problem, "");
  EXPECT_THAT(result.hop.via, ::testing::AnyOf(Address("10.9.0.2"), Address("10.9.0.3")));
}

TEST_F(NextHopTest, WithoutARouteTheProblemSaysSo) {
  EXPECT_EQ(Resolve("10.77.0.1").problem,
            "no route to 10.77.0.1: Network is unreachable; see: ip route get 10.77.0.1");
  EXPECT_THAT(Resolve("fd77::1").problem, HasSubstr("no route to fd77::1"));
  Here("ip route add unreachable 10.77.0.0/16");
  EXPECT_THAT(Resolve("10.77.0.1").problem, HasSubstr("No route to host"));
  EXPECT_TRUE(Changed());
}

TEST_F(NextHopTest, ARealThatIsThisHostIsAProblem) {
  EXPECT_EQ(Resolve("10.9.0.1").problem, "10.9.0.1 is an address of this host");
  EXPECT_EQ(Resolve("fd09::1").problem, "fd09::1 is an address of this host");
}

TEST_F(NextHopTest, ABroadcastAddressIsAProblem) {
  EXPECT_THAT(Resolve("10.9.0.255").problem, HasSubstr("not a unicast route"));
}

TEST_F(NextHopTest, OnlyEthernetInterfacesLeadToReals) {
  Here("ip route add 10.1.0.0/16 dev lo");
  EXPECT_THAT(Resolve("10.1.0.1").problem, HasSubstr("by lo, which is not an Ethernet interface"));
}

TEST_F(NextHopTest, ASilentNeighbourIsReportedOnce) {
  const NextHopResult result = AwaitProblem("10.9.0.9", "does not answer ARP");
  EXPECT_THAT(result.problem, HasSubstr("10.9.0.9 on lb0 does not answer ARP; is it up?"));
  EXPECT_FALSE(result.pending);
  wakeups_ = 0;
  // Asked again, it fails again, which is no news.
  Here("ip neigh change 10.9.0.9 dev lb0 managed use");
  EXPECT_FALSE(Changed(milliseconds(1000)));
  EXPECT_GT(wakeups_, 0);
  EXPECT_EQ(Resolve("10.9.0.9"), result);
}

TEST_F(NextHopTest, ASilentIpv6NeighbourIsReported) {
  EXPECT_THAT(AwaitProblem("fd09::9", "solicitations").problem,
              HasSubstr("fd09::9 on lb0 does not answer neighbour solicitations"));
}

TEST_F(NextHopTest, ASilentGatewayIsNamed) {
  Here("ip route add 10.1.0.0/16 via 10.9.0.9");
  EXPECT_THAT(AwaitProblem("10.1.0.1", "does not answer").problem,
              HasSubstr("gateway 10.9.0.9 on lb0, the way to 10.1.0.1, does not answer ARP"));
}

TEST_F(NextHopTest, ASilentNeighbourIsFoundWhenItComes) {
  AwaitProblem("10.9.0.9", "does not answer ARP");
  Peer("ip addr add 10.9.0.9/24 dev r0");
  EXPECT_TRUE(Changed());
  EXPECT_EQ(AwaitResolved("10.9.0.9").hop.destination.ToString(), kPeerMac);
}

TEST_F(NextHopTest, AFailureOfThePastIsNoAnswer) {
  Here("ip neigh add 10.9.0.2 dev lb0 nud failed");
  EXPECT_TRUE(Resolve("10.9.0.2").pending);
  EXPECT_EQ(AwaitResolved("10.9.0.2").problem, "");
}

TEST_F(NextHopTest, APermanentNeighbourIsTakenAsItIs) {
  Here("ip neigh add 10.9.0.77 lladdr 02:00:00:00:00:77 dev lb0 nud permanent");
  const NextHopResult result = Resolve("10.9.0.77");
  EXPECT_EQ(result.problem, "");
  EXPECT_EQ(result.hop.destination.ToString(), "02:00:00:00:00:77");
  resolver_->Retain({});
  EXPECT_THAT(Neighbours(), HasSubstr("10.9.0.77 lladdr 02:00:00:00:00:77 PERMANENT"));
}

TEST_F(NextHopTest, AnotherAddressOfTheNeighbourIsSeen) {
  AwaitResolved("10.9.0.2");
  Settle();
  Peer("sysctl -qw net.ipv4.conf.r0.arp_notify=1");
  Peer("ip link set r0 address 02:00:00:00:09:99");  // announced by ARP
  EXPECT_TRUE(Changed());
  EXPECT_EQ(Resolve("10.9.0.2").hop.destination.ToString(), "02:00:00:00:09:99");
}

TEST_F(NextHopTest, ARefreshedNeighbourIsNoNews) {
  AwaitResolved("10.9.0.2");
  Settle();
  for (const char* state : {"stale", "reachable"}) {
    Here(fmt::format("ip neigh replace 10.9.0.2 lladdr {} dev lb0 nud {}", kPeerMac, state));
  }
  wakeups_ = 0;
  EXPECT_FALSE(Changed(milliseconds(200)));
  EXPECT_GT(wakeups_, 0);
}

TEST_F(NextHopTest, ADeletedNeighbourIsFoundAgain) {
  AwaitResolved("10.9.0.2");
  Settle();
  Here("ip neigh del 10.9.0.2 dev lb0");
  EXPECT_TRUE(Changed());
  EXPECT_EQ(AwaitResolved("10.9.0.2").problem, "");
  EXPECT_THAT(Neighbours(), HasSubstr(fmt::format("10.9.0.2 lladdr {} managed", kPeerMac)));
}

TEST_F(NextHopTest, AfterALinkFlapTheKernelIsAskedAgain) {
  AwaitResolved("10.9.0.2");
  Here("ip link set lb0 down");
  EXPECT_TRUE(Changed());
  EXPECT_THAT(Resolve("10.9.0.2").problem, HasSubstr("no route to 10.9.0.2"));
  EXPECT_THAT(Neighbours(), Not(HasSubstr("10.9.0.2")));
  Settle();
  Here("ip link set lb0 up");
  EXPECT_TRUE(Changed());
  EXPECT_EQ(AwaitResolved("10.9.0.2").problem, "");
  EXPECT_THAT(Neighbours(), HasSubstr(fmt::format("10.9.0.2 lladdr {} managed", kPeerMac)));
}

TEST_F(NextHopTest, WithoutACarrierThereIsNoNextHop) {
  AwaitResolved("10.9.0.2");
  Peer("ip link set r0 down");
  EXPECT_THAT(AwaitProblem("10.9.0.2", "carrier").problem,
              HasSubstr("the route to 10.9.0.2 leaves by lb0, which has no carrier"));
  Peer("ip link set r0 up");
  EXPECT_EQ(AwaitResolved("10.9.0.2").problem, "");
}

TEST_F(NextHopTest, AnotherAddressOfTheInterfaceIsSeen) {
  AwaitResolved("10.9.0.2");
  Settle();
  Here("ip link set lb0 address 02:00:00:00:09:88");
  EXPECT_TRUE(Changed());
  EXPECT_EQ(AwaitResolved("10.9.0.2").hop.source.ToString(), "02:00:00:00:09:88");
}

TEST_F(NextHopTest, AChangedRouteIsSeen) {
  Here("ip route add 10.1.0.0/16 via 10.9.0.2");
  AwaitResolved("10.1.0.1");
  Settle();
  Here("ip route add 10.1.0.1/32 via 10.9.0.3");
  EXPECT_TRUE(Changed());
  EXPECT_EQ(AwaitResolved("10.1.0.1").hop.via, Address("10.9.0.3"));
  Settle();
  Here("ip route del 10.1.0.1/32");
  EXPECT_TRUE(Changed());
  EXPECT_EQ(AwaitResolved("10.1.0.1").hop.via, Address("10.9.0.2"));
}

TEST_F(NextHopTest, ANewDefaultRouteIsSeen) {
  EXPECT_THAT(Resolve("10.1.0.1").problem, HasSubstr("no route"));
  Settle();
  Here("ip route add default via 10.9.0.2");
  EXPECT_TRUE(Changed());
  EXPECT_EQ(AwaitResolved("10.1.0.1").problem, "");
  EXPECT_THAT(Resolve("fd01::1").problem, HasSubstr("no route"));
  Settle();
  Here("ip route add default via fd09::2");
  EXPECT_TRUE(Changed());
  EXPECT_EQ(AwaitResolved("fd01::1").problem, "");
}

TEST_F(NextHopTest, RoutesOfOthersAreNoNews) {
  Here("ip route add 10.1.0.0/16 via 10.9.0.2");
  AwaitResolved("10.1.0.129");
  Settle();
  Here("ip route add 10.2.0.0/16 via 10.9.0.2 && ip route add 10.1.0.0/25 via 10.9.0.2");
  Here("ip route add fd02::/16 via fd09::2 && ip route del fd02::/16");
  wakeups_ = 0;
  EXPECT_FALSE(Changed(milliseconds(200)));
  EXPECT_GT(wakeups_, 0);
}

TEST_F(NextHopTest, AChangedNextHopObjectIsSeen) {
  Here("ip nexthop add id 9 via 10.9.0.2 dev lb0 && ip route add 10.1.0.0/16 nhid 9");
  EXPECT_EQ(AwaitResolved("10.1.0.1").hop.via, Address("10.9.0.2"));
  Settle();
  Here("ip nexthop replace id 9 via 10.9.0.3 dev lb0");
  EXPECT_TRUE(Changed());
  EXPECT_EQ(AwaitResolved("10.1.0.1").hop.via, Address("10.9.0.3"));
}

TEST_F(NextHopTest, AChangedRuleIsSeen) {
  Here("ip route add 10.1.0.0/16 via 10.9.0.2");
  Here("ip route add 10.1.0.0/16 via 10.9.0.3 table 77");
  AwaitResolved("10.1.0.1");
  Settle();
  Here("ip rule add pref 100 to 10.1.0.0/16 lookup 77");
  EXPECT_TRUE(Changed());
  EXPECT_EQ(AwaitResolved("10.1.0.1").hop.via, Address("10.9.0.3"));
}

// The kernel removes such routes without an event for each.
TEST_F(NextHopTest, ARouteThatGoesWithItsSourceAddressIsSeen) {
  Here("ip addr add 10.8.8.8/32 dev lo");
  Here("ip route add 10.1.0.0/16 via 10.9.0.2 src 10.8.8.8");
  AwaitResolved("10.1.0.1");
  Settle();
  Here("ip addr del 10.8.8.8/32 dev lo");
  EXPECT_TRUE(Changed());
  EXPECT_THAT(Resolve("10.1.0.1").problem, HasSubstr("no route to 10.1.0.1"));
}

TEST_F(NextHopTest, TheMtuIsThatOfTheRouteWhereItHasOne) {
  Here("ip route add 10.1.0.0/16 via 10.9.0.2 mtu 1400");
  Here("ip route add 10.2.0.0/16 via 10.9.0.2");
  Here("ip route add fd01::/16 via fd09::2 mtu 1300");
  EXPECT_EQ(AwaitResolved("10.1.0.1").hop.mtu, 1400u);
  EXPECT_EQ(AwaitResolved("10.2.0.1").hop.mtu, 1500u);
  EXPECT_EQ(AwaitResolved("fd01::1").hop.mtu, 1300u);
}

TEST_F(NextHopTest, AChangedMtuOfTheInterfaceIsSeen) {
  AwaitResolved("10.9.0.2");
  Settle();
  Here("ip link set lb0 mtu 1450");
  EXPECT_TRUE(Changed());
  EXPECT_EQ(AwaitResolved("10.9.0.2").hop.mtu, 1450u);
}

TEST_F(NextHopTest, AnInterfaceThatComesBackIsSeen) {
  AwaitResolved("10.9.0.2");
  Settle();
  Here("ip link del lb0");
  EXPECT_TRUE(Changed());
  EXPECT_THAT(Resolve("10.9.0.2").problem, HasSubstr("no route"));
  Settle();
  Here("ip link add lb0 type veth peer name x0");
  EXPECT_TRUE(Changed());
}

TEST_F(NextHopTest, LostEventsCountAsAChange) {
  AwaitResolved("10.9.0.2");
  Settle();
  const std::string add =
      "seq 0 {} | sed 's,.*,route add 10.2.{}.&/32 via 10.9.0.2,' | ip -batch -";
  Here(fmt::format(fmt::runtime(add), 255, 0));
  EXPECT_FALSE(Changed(milliseconds(200)));
  for (int i = 1; i <= 40; ++i) Here(fmt::format(fmt::runtime(add), 255, i));
  EXPECT_TRUE(Changed());
  EXPECT_EQ(Resolve("10.9.0.2").problem, "");
  EXPECT_FALSE(Changed(milliseconds(200)));
}

TEST_F(NextHopTest, ResolvingOthersDoesNotEndTheFollowing) {
  AwaitResolved("10.9.0.2");
  AwaitResolved("fd09::2");
  Settle();
  Here("ip neigh del 10.9.0.2 dev lb0");
  EXPECT_TRUE(Changed());
}

TEST_F(NextHopTest, RetainLetsTheNeighboursOfOthersGo) {
  AwaitResolved("10.9.0.2");
  AwaitResolved("10.9.0.3");
  const IpAddress kept[] = {Address("10.9.0.3")};
  resolver_->Retain(kept);
  EXPECT_THAT(Neighbours(), Not(HasSubstr(fmt::format("10.9.0.2 lladdr {} managed", kPeerMac))));
  EXPECT_THAT(Neighbours(), HasSubstr(fmt::format("10.9.0.3 lladdr {} managed", kPeerMac)));
  Settle();
  Here("ip neigh del 10.9.0.2 dev lb0");
  EXPECT_FALSE(Changed(milliseconds(200)));
}

TEST_F(NextHopTest, ANeighbourThatOthersManageStaysManaged) {
  Here("ip neigh add 10.9.0.2 dev lb0 managed");
  AwaitResolved("10.9.0.2");
  resolver_->Retain({});
  EXPECT_THAT(Neighbours(), HasSubstr(fmt::format("10.9.0.2 lladdr {} managed", kPeerMac)));
}

TEST_F(NextHopTest, TheKernelKeepsTheNeighboursWhenTheResolverIsGone) {
  AwaitResolved("10.9.0.2");
  resolver_.reset();
  EXPECT_THAT(Neighbours(), HasSubstr(fmt::format("10.9.0.2 lladdr {} managed", kPeerMac)));
}

}  // namespace
}  // namespace lb::dataplane
