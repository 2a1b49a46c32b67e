// SPDX-License-Identifier: Apache-2.0
// Headers that lie or end too early: dropped by name on the way to a VIP, untouched otherwise.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <random>
#include <string>
#include <vector>

#include "tests/bpf/balancer.h"
#include "tests/support/checksum.h"

namespace lb::testing {
namespace {

// VIPs of both families and both protocols on port 80, and a balancer that serves them.
class ParseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Services services;
    for (const IpAddress& vip : {kVip4, kVip6}) {
      for (const auto protocol : {model::Protocol::kTcp, model::Protocol::kUdp}) {
        services.push_back(MakeService({vip, 80, protocol}, {Real4(1), Real6(2)}));
      }
    }
    balancer_.Serve(services);
  }

  lb_verdict VerdictOf(const Segment& packet) {
    return balancer_.Send(Ethernet({}, packet)).verdict;
  }

  Balancer balancer_;
};

// Flows of one client in one family to one destination.
struct Route {
  IpAddress source;
  IpAddress destination;
  bool is_vip;
};

const std::vector<Route> kRoutes4 = {{kClient4, kVip4, true}, {kClient4, kHost4, false}};
const std::vector<Route> kRoutes6 = {{kClient6, kVip6, true}, {kClient6, kHost6, false}};

std::vector<Route> AllRoutes() {
  std::vector<Route> routes = kRoutes4;
  routes.insert(routes.end(), kRoutes6.begin(), kRoutes6.end());
  return routes;
}

// TCP, UDP and an echo request, each with some payload.
std::vector<Segment> Transports(bool v4) {
  return {Tcp({}, "payload"), Udp({}, "payload"),
          v4 ? Icmp({}, "payload") : Icmp6({.type = kEchoRequest6}, "payload")};
}

size_t HeaderLengthOf(const Segment& transport) { return transport.protocol == 6 ? 20 : 8; }

lb_verdict VerdictOfWhole(const Segment& transport) {
  return transport.protocol == 6 || transport.protocol == 17 ? LB_FORWARD : LB_ECHO_REPLY;
}

constexpr size_t kEthernet = 14;
// The kernel hands no shorter frame to any program, nor to a test run.
constexpr size_t kShortestFrame = 14;

TEST_F(ParseTest, TheKernelRefusesFramesWithoutAnEthernetHeader) {
  for (size_t length = 0; length < kShortestFrame; ++length) {
    EXPECT_FALSE(RunProgram(balancer_.forwarder(), Bytes(length, 0)).ok()) << length;
  }
}

// A frame that the wire cut off: its IP header still tells the whole length.
TEST_F(ParseTest, FrameCutOffAtAnyLengthIsNeverForwarded) {
  for (const Route& route : AllRoutes()) {
    const bool v4 = route.destination.is_v4();
    for (const Segment& transport : Transports(v4)) {
      for (const Bytes& options : {Bytes{}, Bytes(12, 1)}) {
        if (!v4 && !options.empty()) continue;
        const size_t fixed = v4 ? 20 : 40;
        const Bytes frame = Ethernet(
            {}, Ip({.source = route.source, .destination = route.destination, .options = options},
                   transport));
        for (size_t length = kShortestFrame; length <= frame.size(); ++length) {
          SCOPED_TRACE(::testing::Message() << route.destination.ToString() << " protocol "
                                            << int{transport.protocol} << " length " << length);
          lb_verdict expected = LB_BAD_LENGTH;
          if (length < kEthernet + fixed) {
            expected = LB_NOT_VIP;  // the destination cannot be read
          } else if (length == frame.size()) {
            expected = VerdictOfWhole(transport);
          } else if (length < kEthernet + fixed + options.size()) {
            expected = LB_TRUNCATED;
          }
          if (!route.is_vip) expected = LB_NOT_VIP;
          ASSERT_EQ(balancer_.Send(Truncated(frame, length)).verdict, expected);
        }
      }
    }
  }
}

// A sender that lies: the IP header agrees with the frame, but the transport header does not fit.
TEST_F(ParseTest, TransportHeaderThatDoesNotFitIsNeverRead) {
  for (const Route& route : AllRoutes()) {
    const bool v4 = route.destination.is_v4();
    for (const Segment& transport : Transports(v4)) {
      for (size_t length = 0; length <= transport.bytes.size(); ++length) {
        for (const size_t padding : {0, 60}) {
          SCOPED_TRACE(::testing::Message()
                       << route.destination.ToString() << " protocol " << int{transport.protocol}
                       << " length " << length << " padding " << padding);
          const IpHeader header = {.source = route.source, .destination = route.destination};
          const Segment cut =
              Opaque(transport.protocol,
                     std::string(transport.bytes.begin(), transport.bytes.begin() + length));
          lb_verdict expected =
              length < HeaderLengthOf(transport) ? LB_TRUNCATED : VerdictOfWhole(transport);
          if (!route.is_vip) expected = LB_NOT_VIP;
          const Bytes frame = Ethernet({.padding = padding}, Ip(header, cut));
          ASSERT_EQ(balancer_.Send(frame).verdict, expected);
        }
      }
    }
  }
}

struct Lie {
  std::string name;
  IpHeader header;
  lb_verdict verdict;  // to a VIP
};

std::vector<Lie> LiesOfIpv4() {
  return {
      {"IHL 0", {.header_words = 0}, LB_BAD_HEADER},
      {"IHL 4", {.header_words = 4}, LB_BAD_HEADER},
      {"IHL beyond the packet", {.header_words = 15}, LB_BAD_HEADER},
      {"IHL beyond the frame", {.header_words = 15, .length = 60}, LB_TRUNCATED},
      {"version 6 in IPv4", {.version = 6}, LB_BAD_HEADER},
      {"version 0", {.version = 0}, LB_BAD_HEADER},
      {"length 0", {.length = 0}, LB_BAD_HEADER},
      {"length within the header", {.length = 19}, LB_BAD_HEADER},
      {"length of the header alone", {.length = 20}, LB_TRUNCATED},
      {"length one too short for TCP", {.length = 39}, LB_TRUNCATED},
      {"length one beyond the frame", {.length = 41}, LB_BAD_LENGTH},
      {"length 65535", {.length = 65535}, LB_BAD_LENGTH},
      {"first fragment", {.fragment = 0x2000}, LB_FORWARD},
      {"later fragment", {.id = 1, .fragment = 0x2001}, LB_FRAGMENT},
      {"last fragment", {.id = 1, .fragment = 0x1fff}, LB_FRAGMENT},
      {"reserved flag", {.fragment = 0x8000}, LB_FORWARD},
      {"no flags", {.fragment = 0}, LB_FORWARD},
  };
}

std::vector<Lie> LiesOfIpv6() {
  return {
      {"version 4 in IPv6", {.version = 4}, LB_BAD_HEADER},
      {"version 15", {.version = 15}, LB_BAD_HEADER},
      {"length 0", {.length = 0}, LB_TRUNCATED},
      {"length one too short for TCP", {.length = 19}, LB_TRUNCATED},
      {"length one beyond the frame", {.length = 21}, LB_BAD_LENGTH},
      {"length 65535", {.length = 65535}, LB_BAD_LENGTH},
  };
}

// The peers' mistake: fragments and IP options to addresses that are no VIPs were dropped.
TEST_F(ParseTest, LieIsDroppedOnTheWayToAVipAndPassesOtherwise) {
  for (const Route& route : AllRoutes()) {
    for (Lie lie : route.destination.is_v4() ? LiesOfIpv4() : LiesOfIpv6()) {
      SCOPED_TRACE(route.destination.ToString() + " " + lie.name);
      lie.header.source = route.source;
      lie.header.destination = route.destination;
      EXPECT_EQ(VerdictOf(Ip(lie.header, Tcp({}))), route.is_vip ? lie.verdict : LB_NOT_VIP);
    }
  }
}

TEST_F(ParseTest, OptionsToAnAddressThatIsNoVipPassUntouched) {
  const IpHeader header = {.source = kClient4, .destination = kHost4, .options = Bytes(40, 1)};
  for (const Segment& transport : Transports(true)) {
    EXPECT_EQ(VerdictOf(Ip(header, transport)), LB_NOT_VIP);
  }
}

TEST_F(ParseTest, FragmentsOfIpv6AreKnown) {
  // Next header, reserved, offset and M flag, identification.
  const std::string_view fragment_header("\x06\x00\x00\x08\x12\x34\x56\x78", 8);
  const Segment fragment = Opaque(44, std::string(fragment_header) + std::string(20, 'x'));
  EXPECT_EQ(VerdictOf(Ip({.source = kClient6, .destination = kVip6}, fragment)), LB_FRAGMENT);
  EXPECT_EQ(VerdictOf(Ip({.source = kClient6, .destination = kHost6}, fragment)), LB_NOT_VIP);
}

TEST_F(ParseTest, OtherProtocolsToAVipPass) {
  for (int protocol = 0; protocol < 256; ++protocol) {
    const auto number = static_cast<uint8_t>(protocol);
    const Segment payload = Opaque(number, std::string(40, 0));
    const bool balanced = number == 6 || number == 17;
    if (balanced) continue;
    EXPECT_EQ(VerdictOf(Ip({.source = kClient4, .destination = kVip4}, payload)), LB_NOT_VIP)
        << protocol;
    const bool extension = number == 0 || number == 43 || number == 44 || number == 60;
    if (extension) continue;
    EXPECT_EQ(VerdictOf(Ip({.source = kClient6, .destination = kVip6}, payload)), LB_NOT_VIP)
        << protocol;
  }
}

TEST_F(ParseTest, WhatIsNotIpPasses) {
  const Segment packet = Ip({.source = kClient4, .destination = kVip4}, Tcp({}));
  for (const uint16_t type : {0x0000, 0x0026, 0x0806, 0x8100, 0x88a8, 0x88cc, 0x8847, 0xffff}) {
    EXPECT_EQ(balancer_.Send(Ethernet({.type = type}, packet)).verdict, LB_NOT_IP) << type;
  }
}

TEST_F(ParseTest, EtherTypeOfTheOtherFamilyIsNotForwarded) {
  const Segment v4 = Ip({.source = kClient4, .destination = kVip4}, Tcp({}, "0123456789abcdef"));
  const Segment v6 = Ip({.source = kClient6, .destination = kVip6}, Tcp({}));
  EXPECT_EQ(balancer_.Send(Ethernet({.type = 0x86dd}, v4)).action, XDP_PASS);
  EXPECT_EQ(balancer_.Send(Ethernet({.type = 0x0800}, v6)).action, XDP_PASS);
}

// Send() checks every frame: one verdict, the right action, unchanged unless it goes out. Here
// also: what leaves encapsulated is the packet that came, whole and untouched.
TEST_F(ParseTest, NoDamagedFrameLeavesDamaged) {
  std::mt19937 random(1);
  std::vector<Bytes> originals;
  for (const Route& route : AllRoutes()) {
    for (const Segment& transport : Transports(route.destination.is_v4())) {
      originals.push_back(
          Ethernet({.padding = 2},
                   Ip({.source = route.source, .destination = route.destination}, transport)));
    }
  }
  std::array<int, LB_VERDICT_COUNT> seen{};
  for (int i = 0; i < 50000 && !HasFailure(); ++i) {
    Bytes frame = originals[random() % originals.size()];
    // Not the addresses: a frame with another destination tests little.
    const bool v4 = frame[12] == 0x08;
    for (int damages = 1 + static_cast<int>(random() % 3); damages > 0; --damages) {
      const size_t at = 14 + random() % (v4 ? 12 : 8);
      frame[random() % 4 == 0 ? 34 + random() % (frame.size() - 34) : at] ^= 1 << random() % 8;
    }
    if (random() % 4 == 0) frame.resize(14 + random() % (frame.size() - 14));
    const Outcome outcome = balancer_.Send(frame);
    ASSERT_LT(outcome.verdict, LB_VERDICT_COUNT);
    ++seen[outcome.verdict];
    if (outcome.verdict != LB_FORWARD) continue;
    const size_t outer = outcome.out.at(12) == 0x08 ? 20 : 40;
    const Bytes inner(outcome.out.begin() + 14 + outer, outcome.out.end());
    ASSERT_TRUE(SameBytes(Bytes(frame.begin() + 14, frame.end()), inner));
    if (outer == 20) {
      ASSERT_TRUE(InternetSum().Add(std::span(outcome.out).subspan(14, 20)).holds());
    }
  }
  for (const lb_verdict verdict : {LB_FORWARD, LB_ECHO_REPLY, LB_NOT_VIP, LB_TRUNCATED,
                                   LB_BAD_HEADER, LB_BAD_LENGTH, LB_FRAGMENT}) {
    EXPECT_GT(seen[verdict], 100) << NameOf(verdict) << ": the damage is too tame";
  }
}

}  // namespace
}  // namespace lb::testing
