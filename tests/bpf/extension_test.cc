// SPDX-License-Identifier: Apache-2.0
// IPv6 extension headers in front of TCP and UDP: the flow is the same as without.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

constexpr size_t kHeaders = 14 + 40;

class ExtensionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const auto protocol : {model::Protocol::kTcp, model::Protocol::kUdp}) {
      services_.push_back(
          MakeService({kVip6, 80, protocol}, {Real6(1), Real4(2), Real6(3), Real4(4)}));
    }
    balancer_.Serve(services_);
  }

  lb_verdict VerdictOf(const Segment& payload, const IpAddress& destination = kVip6) {
    return balancer_.Send(Frame(payload, destination)).verdict;
  }

  static Bytes Frame(const Segment& payload, const IpAddress& destination = kVip6,
                     const std::optional<uint16_t>& length = {}) {
    return Ethernet(
        {}, Ip({.source = kClient6, .destination = destination, .length = length}, payload));
  }

  Services services_;
  Balancer balancer_;
};

// `payload` behind these headers, the first one first.
Segment Behind(std::vector<uint8_t> headers, Segment payload, size_t units = 1) {
  for (; !headers.empty(); headers.pop_back()) payload = Extension(headers.back(), payload, units);
  return payload;
}

const std::vector<std::vector<uint8_t>> kChains = {
    {kHopByHop},
    {kDestinationOptions},
    {kRouting},
    {kHopByHop, kDestinationOptions, kRouting, kDestinationOptions},
};

TEST_F(ExtensionTest, FlowGoesWhereItGoesWithoutThem) {
  for (uint16_t port = 1000; port < 1020; ++port) {
    for (const Segment& transport :
         {Tcp({.source = port}, "payload"), Udp({.source = port}, "payload")}) {
      const Outcome plain = balancer_.Send(Frame(transport));
      ASSERT_EQ(plain.verdict, LB_FORWARD);
      for (const auto& chain : kChains) {
        for (const size_t units : {1, 2, 25}) {
          const Bytes frame = Frame(Behind(chain, transport, units));
          const Outcome outcome = balancer_.Send(frame);
          ASSERT_EQ(outcome.verdict, LB_FORWARD) << chain.size() << " of " << units;
          EXPECT_EQ(RealOf(outcome.out), RealOf(plain.out));
          EXPECT_EQ(OuterSourceOf(outcome.out), OuterSourceOf(plain.out));
          // What was behind the Ethernet header is behind the outer one.
          const size_t outer = outcome.out.size() - (frame.size() - 14);
          EXPECT_TRUE(SameBytes(Bytes(frame.begin() + 14, frame.end()),
                                Bytes(outcome.out.begin() + outer, outcome.out.end())));
        }
      }
    }
  }
}

TEST_F(ExtensionTest, EightAreFollowedAndNineAreNot) {
  EXPECT_EQ(VerdictOf(Behind(std::vector<uint8_t>(8, kDestinationOptions), Tcp({}))), LB_FORWARD);
  EXPECT_EQ(VerdictOf(Behind(std::vector<uint8_t>(9, kDestinationOptions), Tcp({}))),
            LB_EXTENSIONS);
}

TEST_F(ExtensionTest, LongOnesAreFollowedAsFarAsTheVerifierIsTold) {
  // Ports at 1022, at most at PACKET_MAX_OFFSET = 1023.
  EXPECT_EQ(VerdictOf(Behind({kHopByHop}, Tcp({}), (1022 - kHeaders) / 8)), LB_FORWARD);
  EXPECT_EQ(VerdictOf(Behind({kHopByHop}, Tcp({}), (1022 - kHeaders) / 8 + 1)), LB_EXTENSIONS);
  EXPECT_EQ(VerdictOf(Behind({kHopByHop}, Tcp({}), 256)), LB_EXTENSIONS);
}

TEST_F(ExtensionTest, HeadersThatDoNotFitAreNeverRead) {
  for (const auto& chain : kChains) {
    const Segment whole = Behind(chain, Tcp({}));
    for (size_t length = 0; length < whole.bytes.size(); ++length) {
      const Segment cut =
          Opaque(chain.front(), std::string(whole.bytes.begin(), whole.bytes.begin() + length));
      EXPECT_EQ(VerdictOf(cut), LB_TRUNCATED) << chain.size() << " cut at " << length;
      // The frame has all the bytes, and the packet says that they are not its own.
      EXPECT_EQ(balancer_.Send(Frame(whole, kVip6, length)).verdict, LB_TRUNCATED) << length;
    }
  }
}

TEST_F(ExtensionTest, WhateverFollowsToAnAddressThatIsNoVipPasses) {
  for (const auto& chain : kChains)
    EXPECT_EQ(VerdictOf(Behind(chain, Tcp({})), kHost6), LB_NOT_VIP);
  EXPECT_EQ(VerdictOf(Behind(std::vector<uint8_t>(9, kHopByHop), Tcp({})), kHost6), LB_NOT_VIP);
  EXPECT_EQ(VerdictOf(Extension(kHopByHop, Tcp({}), 256), kHost6), LB_NOT_VIP);
  EXPECT_EQ(VerdictOf(Opaque(kRouting, "x"), kHost6), LB_NOT_VIP);
}

TEST_F(ExtensionTest, WhatIsNotTcpOrUdpBehindThemPasses) {
  for (const uint8_t protocol : {1, 4, 41, 50, 51, 58, 59, 132}) {
    EXPECT_EQ(VerdictOf(Behind({kHopByHop}, Opaque(protocol, std::string(8, 0)))), LB_NOT_VIP)
        << int{protocol};
  }
  // A ping with them is left to the host.
  EXPECT_EQ(VerdictOf(Behind({kHopByHop}, Icmp6({.type = kEchoRequest6}))), LB_NOT_VIP);
}

}  // namespace
}  // namespace lb::testing
