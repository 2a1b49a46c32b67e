// SPDX-License-Identifier: Apache-2.0
// Pings to VIPs are answered; everything else of ICMP is the host's.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/bpf/balancer.h"
#include "tests/support/checksum.h"

namespace lb::testing {
namespace {

class IcmpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    balancer_.Serve({MakeService({kVip4, 80, model::Protocol::kTcp}, {Real4(1)}),
                     MakeService({kVip6, 53, model::Protocol::kUdp}, {})});
  }

  Balancer balancer_;
};

Segment Request(bool v4, const IpHeader& header, const IcmpHeader& icmp, std::string_view payload) {
  IpHeader to_vip = header;
  to_vip.source = v4 ? kClient4 : kClient6;
  to_vip.destination = v4 ? kVip4 : kVip6;
  return Ip(to_vip, v4 ? Icmp(icmp, payload) : Icmp6(icmp, payload));
}

Segment Reply(bool v4, const IpHeader& header, const IcmpHeader& icmp, std::string_view payload) {
  IpHeader from_vip = header;
  from_vip.source = v4 ? kVip4 : kVip6;
  from_vip.destination = v4 ? kClient4 : kClient6;
  from_vip.ttl = 64;
  return Ip(from_vip, v4 ? Icmp(icmp, payload) : Icmp6(icmp, payload));
}

TEST_F(IcmpTest, EchoReplyIsExact) {
  for (const bool v4 : {true, false}) {
    for (const size_t size : {0, 1, 2, 7, 8, 55, 56, 57, 999, 1471, 1472, 3001}) {
      for (const size_t padding : {0, 5}) {
        SCOPED_TRACE(::testing::Message() << (v4 ? "v4 " : "v6 ") << size << "+" << padding);
        std::string payload;
        for (size_t i = 0; i < size; ++i) payload.push_back(static_cast<char>(i * 37 + 1));
        const IpHeader header = {.tos = 0x2a, .ttl = 7, .id = 0x1234, .flow_label = 0xabcde};
        const IcmpHeader request = {.type = static_cast<uint8_t>(v4 ? 8 : kEchoRequest6)};
        const IcmpHeader reply = {.type = static_cast<uint8_t>(v4 ? 0 : kEchoReply6)};
        const Outcome outcome =
            balancer_.Send(Ethernet({.padding = padding}, Request(v4, header, request, payload)));
        EXPECT_EQ(outcome.verdict, LB_ECHO_REPLY);
        EXPECT_TRUE(SameBytes(
            Ethernet({.source = kBalancerMac, .destination = kRouterMac, .padding = padding},
                     Reply(v4, header, reply, payload)),
            outcome.out));
      }
    }
  }
}

TEST_F(IcmpTest, EchoWithIpOptionsIsAnswered) {
  const IpHeader header = {.options = Bytes(8, 1)};
  const Outcome outcome = balancer_.Send(Ethernet({}, Request(true, header, {}, "payload")));
  EXPECT_EQ(outcome.verdict, LB_ECHO_REPLY);
  EXPECT_TRUE(SameBytes(Ethernet({.source = kBalancerMac, .destination = kRouterMac},
                                 Reply(true, header, {.type = 0}, "payload")),
                        outcome.out));
}

// The part of `frame` that its ICMP checksum covers, pseudo header included for ICMPv6.
InternetSum SumOfIcmp(const Bytes& frame, bool v4) {
  const std::span bytes(frame);
  if (v4) return InternetSum().Add(bytes.subspan(34));
  const std::span message = bytes.subspan(54);
  return InternetSum()
      .Add(bytes.subspan(22, 32))
      .Add(static_cast<uint16_t>(message.size()))
      .Add(uint16_t{58})
      .Add(message);
}

// The peers' mistake: the fix-up of the checksum ignored a carry, 8 values of 65 536 were wrong.
// Also the one reply that is all zeros, whose checksum is not 0.
TEST_F(IcmpTest, EveryChecksumOfARequestBecomesTheRightOneOfItsReply) {
  for (const bool v4 : {true, false}) {
    const size_t icmp = v4 ? 34 : 54;
    for (const uint16_t id : {0x0000, 0x4711}) {
      const IcmpHeader header = {
          .type = static_cast<uint8_t>(v4 ? 8 : kEchoRequest6), .id = id, .sequence = 0};
      Bytes request = Ethernet({}, Request(v4, {}, header, ""));
      for (uint32_t checksum = 0; checksum < 65536; ++checksum) {
        // The sequence number that makes the request right with this checksum.
        request[icmp + 2] = static_cast<uint8_t>(checksum >> 8);
        request[icmp + 3] = static_cast<uint8_t>(checksum);
        request[icmp + 6] = request[icmp + 7] = 0;
        const uint16_t sequence = SumOfIcmp(request, v4).checksum();
        request[icmp + 6] = static_cast<uint8_t>(sequence >> 8);
        request[icmp + 7] = static_cast<uint8_t>(sequence);
        ASSERT_TRUE(SumOfIcmp(request, v4).holds());

        const ProgRun run = balancer_.SendFast(request);
        ASSERT_EQ(run.action, XDP_TX);
        ASSERT_EQ(run.out.size(), request.size());
        ASSERT_EQ(run.out[icmp], v4 ? 0 : kEchoReply6);
        ASSERT_TRUE(
            std::equal(request.begin() + icmp + 4, request.end(), run.out.begin() + icmp + 4));
        ASSERT_TRUE(SumOfIcmp(run.out, v4).holds())
            << (v4 ? "ICMP " : "ICMPv6 ") << std::hex << checksum;
      }
    }
  }
}

TEST_F(IcmpTest, EveryIpv4HeaderChecksumOfARequestBecomesTheRightOneOfItsReply) {
  for (uint32_t id = 0; id < 65536; ++id) {
    const IpHeader header = {.ttl = static_cast<uint8_t>(id * 31 + id / 256),
                             .id = static_cast<uint16_t>(id)};
    const ProgRun run = balancer_.SendFast(Ethernet({}, Request(true, header, {}, "")));
    ASSERT_EQ(run.action, XDP_TX);
    ASSERT_TRUE(InternetSum().Add(std::span(run.out).subspan(14, 20)).holds()) << id;
  }
}

// The peers' mistake: pings to any address were answered.
TEST_F(IcmpTest, PingToAnAddressThatIsNoVipPassesUntouched) {
  EXPECT_EQ(balancer_.Send(Ethernet({}, Ip({.source = kClient4, .destination = kHost4}, Icmp({}))))
                .verdict,
            LB_NOT_VIP);
  EXPECT_EQ(balancer_
                .Send(Ethernet({}, Ip({.source = kClient6, .destination = kHost6},
                                      Icmp6({.type = kEchoRequest6}))))
                .verdict,
            LB_NOT_VIP);
}

TEST_F(IcmpTest, OnlyEchoRequestsWithCodeZeroAreAnswered) {
  for (const bool v4 : {true, false}) {
    const int request = v4 ? 8 : kEchoRequest6;
    for (int type = 0; type < 256; ++type) {
      for (const uint8_t code : {0, 1, 255}) {
        const IcmpHeader header = {.type = static_cast<uint8_t>(type), .code = code};
        const lb_verdict verdict =
            balancer_.Send(Ethernet({}, Request(v4, {}, header, "payload"))).verdict;
        // Errors have to quote more than this.
        const bool error = v4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
        ASSERT_EQ(verdict, error                          ? LB_TRUNCATED
                           : type == request && code == 0 ? LB_ECHO_REPLY
                                                          : LB_NOT_VIP)
            << (v4 ? "v4 " : "v6 ") << type << "/" << int{code};
      }
    }
  }
}

TEST_F(IcmpTest, IcmpOfTheOtherFamilyPasses) {
  const Segment icmp = Icmp({.type = 8});
  const Segment icmp6 = Icmp6({.type = kEchoRequest6});
  EXPECT_EQ(
      balancer_.Send(Ethernet({}, Ip({.source = kClient4, .destination = kVip4}, icmp6))).verdict,
      LB_NOT_VIP);
  EXPECT_EQ(
      balancer_.Send(Ethernet({}, Ip({.source = kClient6, .destination = kVip6}, icmp))).verdict,
      LB_NOT_VIP);
}

TEST_F(IcmpTest, PingPassesAgainAfterTheLastVipOfTheAddress) {
  const Bytes ping = Ethernet({}, Request(true, {}, {}, ""));
  EXPECT_EQ(balancer_.Send(ping).verdict, LB_ECHO_REPLY);
  balancer_.Serve({});
  EXPECT_EQ(balancer_.Send(ping).verdict, LB_NOT_VIP);
}

}  // namespace
}  // namespace lb::testing
