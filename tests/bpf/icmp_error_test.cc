// SPDX-License-Identifier: Apache-2.0
// ICMP errors about a flow go to the flow's real, whatever little they quote.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

const IpAddress kRouter4 = Address("203.0.113.1");
const IpAddress kRouter6 = Address("2001:db8:f::1");

struct ErrorType {
  uint8_t type;
  uint8_t code;
};

std::vector<ErrorType> ErrorTypes(bool v4) {
  std::vector<ErrorType> types = v4 ? std::vector<ErrorType>{{11, 0}, {11, 1}, {12, 0}}
                                    : std::vector<ErrorType>{{2, 0}, {3, 0}, {3, 1}, {4, 1}};
  for (uint8_t code = 0; code < (v4 ? 16 : 7); ++code) {
    types.push_back({static_cast<uint8_t>(v4 ? 3 : 1), code});
  }
  return types;
}

// What the VIP's real sent to flow `number`'s client, as a router would quote it.
Segment Answer(uint32_t number, const model::VipKey& vip, IpHeader header = {}) {
  header.source = vip.address;
  header.destination = FlowSource(number, vip);
  const uint16_t port = vip.port == 0 ? 9999 : vip.port;
  return vip.protocol == model::Protocol::kTcp
             ? Ip(header, Tcp({.source = port, .destination = FlowPort(number)}, "payload"))
             : Ip(header, Udp({.source = port, .destination = FlowPort(number)}, "payload"));
}

std::string Quote(const Segment& packet, size_t length) {
  return {packet.bytes.begin(),
          packet.bytes.begin() + static_cast<ptrdiff_t>(std::min(length, packet.bytes.size()))};
}

Bytes Error(const IpAddress& to, const ErrorType& type, std::string_view quote) {
  const IcmpHeader header = {.type = type.type, .code = type.code, .id = 0, .sequence = 1400};
  return to.is_v4()
             ? Ethernet({}, Ip({.source = kRouter4, .destination = to}, Icmp(header, quote)))
             : Ethernet({}, Ip({.source = kRouter6, .destination = to}, Icmp6(header, quote)));
}

size_t HeaderLength(const model::VipKey& vip) { return vip.address.is_v4() ? 20 : 40; }

const std::vector<model::VipKey> kVips = {{kVip4, 80, model::Protocol::kTcp},
                                          {kVip4, 53, model::Protocol::kUdp},
                                          {kVip6, 80, model::Protocol::kTcp},
                                          {kVip6, 0, model::Protocol::kUdp}};

class IcmpErrorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Services services;
    for (const model::VipKey& vip : kVips) {
      services.push_back(MakeService(vip, {Real4(1), Real6(2), Real4(3), Real6(4)}));
    }
    balancer_.Serve(services);
  }

  lb_verdict VerdictOf(const model::VipKey& vip, std::string_view quote) {
    const ErrorType unreachable = {static_cast<uint8_t>(vip.address.is_v4() ? 3 : 1), 0};
    return balancer_.Send(Error(vip.address, unreachable, quote)).verdict;
  }

  Balancer balancer_;
};

// The peers' mistake: errors that quote no more than 8 bytes behind the IP header were dropped, and
// "time exceeded" went to the load balancer's host.
TEST_F(IcmpErrorTest, EveryErrorGoesToTheRealOfTheFlow) {
  for (const model::VipKey& vip : kVips) {
    for (uint32_t flow = 0; flow < 40; ++flow) {
      const Outcome plain = balancer_.Send(Flow(flow, vip));
      ASSERT_EQ(plain.verdict, LB_FORWARD);
      for (const size_t length : {HeaderLength(vip) + 8, size_t{1000}}) {
        for (const ErrorType& type : ErrorTypes(vip.address.is_v4())) {
          const Bytes frame = Error(vip.address, type, Quote(Answer(flow, vip), length));
          const Outcome outcome = balancer_.Send(frame);
          ASSERT_EQ(outcome.verdict, LB_FORWARD)
              << vip.ToString() << " type " << int{type.type} << "/" << int{type.code};
          ASSERT_EQ(RealOf(outcome.out), RealOf(plain.out));
          const size_t outer = outcome.out.size() - (frame.size() - 14);
          ASSERT_TRUE(SameBytes(Bytes(frame.begin() + 14, frame.end()),
                                Bytes(outcome.out.begin() + outer, outcome.out.end())));
        }
      }
    }
  }
}

TEST_F(IcmpErrorTest, WhatQuotesLessThanEightBytesOfTransportIsTruncated) {
  for (const model::VipKey& vip : kVips) {
    for (size_t length = 0; length < HeaderLength(vip) + 8; ++length) {
      EXPECT_EQ(VerdictOf(vip, Quote(Answer(0, vip), length)), LB_TRUNCATED) << length;
    }
  }
}

TEST_F(IcmpErrorTest, QuotedPacketsMayHaveOptionsAndExtensionHeaders) {
  const model::VipKey& v4 = kVips[0];
  const Segment options = Answer(3, v4, {.options = Bytes(40, 1)});
  EXPECT_EQ(VerdictOf(v4, Quote(options, 68)), LB_FORWARD);
  EXPECT_EQ(VerdictOf(v4, Quote(options, 67)), LB_TRUNCATED);
  const Segment extended =
      Ip({.source = kVip6, .destination = kClient6},
         Extension(kHopByHop, Extension(kDestinationOptions, Tcp({.source = 80}), 2)));
  EXPECT_EQ(VerdictOf(kVips[2], Quote(extended, 40 + 24 + 8)), LB_FORWARD);
  EXPECT_EQ(VerdictOf(kVips[2], Quote(extended, 40 + 24 + 7)), LB_TRUNCATED);
}

TEST_F(IcmpErrorTest, OnlyTheFirstFragmentOfAnAnswerSaysWhoseItIs) {
  EXPECT_EQ(VerdictOf(kVips[0], Quote(Answer(0, kVips[0], {.fragment = 0x2000}), 28)), LB_FORWARD);
  EXPECT_EQ(VerdictOf(kVips[0], Quote(Answer(0, kVips[0], {.fragment = 0x2001}), 28)), LB_FRAGMENT);
}

TEST_F(IcmpErrorTest, ErrorsAboutOthersPass) {
  const model::VipKey& vip = kVips[0];
  // Not sent by the VIP, by no service of it, or by none that is balanced.
  const IpHeader from_host = {.source = kHost4, .destination = kClient4};
  const IpHeader from_vip = {.source = kVip4, .destination = kClient4};
  EXPECT_EQ(VerdictOf(vip, Quote(Ip(from_host, Tcp({.source = 80})), 28)), LB_NOT_VIP);
  EXPECT_EQ(VerdictOf(vip, Quote(Ip(from_vip, Tcp({.source = 81})), 28)), LB_NOT_VIP);
  EXPECT_EQ(VerdictOf(vip, Quote(Ip(from_vip, Icmp({.type = 0})), 28)), LB_NOT_VIP);
  const ErrorType unreachable = {3, 1};
  const std::string quote = Quote(Ip(from_host, Tcp({.source = 80})), 28);
  EXPECT_EQ(balancer_.Send(Error(kHost4, unreachable, quote)).verdict, LB_NOT_VIP);
  // Not an error: redirect, and what does not exist.
  for (const uint8_t type : {4, 5, 13, 42}) {
    EXPECT_EQ(balancer_.Send(Error(kVip4, {type, 0}, Quote(Answer(0, vip), 28))).verdict,
              LB_NOT_VIP);
  }
}

TEST_F(IcmpErrorTest, QuotedHeaderThatContradictsItselfIsDropped) {
  EXPECT_EQ(VerdictOf(kVips[0], Quote(Answer(0, kVips[0], {.header_words = 4}), 28)),
            LB_BAD_HEADER);
  EXPECT_EQ(VerdictOf(kVips[0], Quote(Answer(0, kVips[0], {.version = 6}), 28)), LB_BAD_HEADER);
  EXPECT_EQ(VerdictOf(kVips[2], Quote(Answer(0, kVips[2], {.version = 4}), 48)), LB_BAD_HEADER);
}

TEST(IcmpErrorTrackingTest, ErrorFollowsATrackedFlowAndRecordsNone) {
  const model::VipKey vip = {kVip4, 80, model::Protocol::kTcp};
  const std::vector<IpAddress> reals = {Real4(1), Real4(2)};
  dataplane::Service first = MakeService(vip, reals, model::Ring(256, 1));
  dataplane::Service second = MakeService(vip, reals, model::Ring(256, 2));
  first.vip.tracking = second.vip.tracking = model::Tracking::kAlways;
  Balancer balancer;
  balancer.Serve({first});
  const auto error = [&](uint32_t flow) {
    return balancer.Send(Error(kVip4, {3, 4}, Quote(Answer(flow, vip), 28)));
  };
  for (uint32_t flow = 0; flow < 100; ++flow) ASSERT_EQ(error(flow).verdict, LB_FORWARD);
  EXPECT_FALSE(balancer.HasFlows());

  for (uint32_t flow = 0; flow < 100; ++flow) balancer.SendFast(Flow(flow, vip));
  balancer.Serve({second});
  for (uint32_t flow = 0; flow < 100; ++flow) {
    ASSERT_EQ(RealOf(balancer.SendFast(Flow(flow, vip, 0x10)).out), Real4(1));
    ASSERT_EQ(RealOf(error(flow).out), Real4(1)) << flow;
  }
}

TEST(IcmpErrorOffTest, ErrorsPassWhereTheyAreNotSteered) {
  model::Settings settings;
  settings.icmp.errors = false;
  settings.icmp.echo = false;
  Balancer balancer(settings);
  balancer.Serve({MakeService(kVips[0], {Real4(1)})});
  EXPECT_EQ(balancer.Send(Error(kVip4, {3, 4}, Quote(Answer(0, kVips[0]), 28))).verdict,
            LB_NOT_VIP);
  EXPECT_EQ(
      balancer.Send(Ethernet({}, Ip({.source = kClient4, .destination = kVip4}, Icmp({})))).verdict,
      LB_NOT_VIP);
}

}  // namespace
}  // namespace lb::testing
