// SPDX-License-Identifier: Apache-2.0
// What does not fit once it is encapsulated: the client is told, and told the right size.
// The peers' mistake: packets that grow past the MTU left anyway, or vanished.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/bpf/balancer.h"
#include "tests/support/checksum.h"

namespace lb::testing {
namespace {

constexpr size_t kQuoted = 128;

struct Case {
  const char* name;
  IpAddress vip;
  IpAddress real;
  uint32_t mtu;         // of the next hop
  uint32_t client_mtu;  // the longest packet that the client may send
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

IpAddress ClientOf(const IpAddress& vip) { return vip.is_v4() ? kClient4 : kClient6; }

model::VipKey WebOf(const IpAddress& vip) { return {vip, 80, model::Protocol::kTcp}; }

// A packet of `length` bytes, IP header included.
Segment PacketOf(const IpAddress& vip, size_t length, IpHeader header = {}) {
  header.source = ClientOf(vip);
  header.destination = vip;
  std::string payload;
  for (size_t i = 0; i < length - (vip.is_v4() ? 40 : 60); ++i)
    payload.push_back(static_cast<char>(i * 31));
  return Ip(header, Tcp({}, payload));
}

Bytes Told(const Case& c, const Segment& packet) {
  const std::string quote(packet.bytes.begin(), packet.bytes.begin() + kQuoted);
  const auto high = static_cast<uint16_t>(c.client_mtu >> 16);
  const auto low = static_cast<uint16_t>(c.client_mtu);
  const IpHeader header = {.source = c.vip, .destination = ClientOf(c.vip)};
  return Ethernet(
      {.source = kBalancerMac, .destination = kRouterMac},
      c.vip.is_v4()
          ? Ip(header, Icmp({.type = 3, .code = 4, .id = high, .sequence = low}, quote))
          : Ip(header, Icmp6({.type = 2, .code = 0, .id = high, .sequence = low}, quote)));
}

class TooBigTest : public ::testing::TestWithParam<Case> {};

TEST_P(TooBigTest, ClientIsToldWhatFits) {
  const Case& c = GetParam();
  Balancer balancer;
  balancer.Serve({MakeService(WebOf(c.vip), {c.real})});
  balancer.SetNextHops({{c.real, Gateway(c.mtu)}});
  EXPECT_EQ(balancer.Send(Ethernet({}, PacketOf(c.vip, c.client_mtu))).verdict, LB_FORWARD);
  for (const uint32_t more : {1u, 2u, 700u}) {
    for (const size_t padding : {0, 3}) {
      const Segment packet = PacketOf(c.vip, c.client_mtu + more, {.tos = 0x2c, .ttl = 7});
      const Outcome outcome = balancer.Send(Ethernet({.padding = padding}, packet));
      EXPECT_EQ(outcome.verdict, LB_TOO_BIG_REPLY);
      EXPECT_TRUE(SameBytes(Told(c, packet), outcome.out));
      const std::vector<uint32_t> tags = {0x8100'0123, 0x8100'0456};
      const Outcome tagged = balancer.Send(Tagged(Ethernet({.padding = padding}, packet), tags));
      EXPECT_TRUE(SameBytes(Tagged(Told(c, packet), tags), tagged.out));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, TooBigTest,
                         ::testing::Values(Case{"4in4", kVip4, Real4(1), 1500, 1480},
                                           Case{"4in6", kVip4, Real6(1), 1500, 1460},
                                           Case{"6in6", kVip6, Real6(1), 1500, 1460},
                                           Case{"6in4", kVip6, Real4(1), 1500, 1480},
                                           Case{"SmallestOfIpv6", kVip6, Real6(1), 1320, 1280},
                                           Case{"SmallIpv4", kVip4, Real4(1), 596, 576}),
                         [](const auto& test) { return test.param.name; });

class TooBigRuleTest : public ::testing::Test {
 protected:
  void Serve(const model::Settings& settings = {}) {
    balancer_ = std::make_unique<Balancer>(settings);
    balancer_->Serve({MakeService(WebOf(kVip4), {Real4(1)}), MakeService(WebOf(kVip6), {Real6(1)}),
                      MakeService({kVip4, 80, model::Protocol::kUdp}, {Real4(1)})});
  }
  lb_verdict VerdictOf(const Bytes& frame) { return balancer_->Send(frame).verdict; }

  std::unique_ptr<Balancer> balancer_;
};

TEST_F(TooBigRuleTest, MessagesAreLimitedInRate) {
  model::Settings settings;
  settings.icmp.too_big_per_second = 1;
  Serve(settings);
  const Bytes frame = Ethernet({}, PacketOf(kVip4, 1500));
  const auto start = std::chrono::steady_clock::now();
  int told = 0;
  for (int i = 0; i < 200; ++i) told += VerdictOf(frame) == LB_TOO_BIG_REPLY;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(told, 50);
  EXPECT_LE(told, 51 + took.count());
}

TEST_F(TooBigRuleTest, NobodyIsToldWhoMustNotBe) {
  Serve();
  for (const char* source : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255"}) {
    const Segment packet =
        Ip({.source = Address(source), .destination = kVip4}, Tcp({}, std::string(1500, 'x')));
    EXPECT_EQ(VerdictOf(Ethernet({}, packet)), LB_TOO_BIG) << source;
  }
  for (const char* source : {"::", "ff02::1"}) {
    const Segment packet =
        Ip({.source = Address(source), .destination = kVip6}, Tcp({}, std::string(1500, 'x')));
    EXPECT_EQ(VerdictOf(Ethernet({}, packet)), LB_TOO_BIG) << source;
  }
  // A frame to everybody; an error; a fragment without ports.
  const MacAddress everybody({0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
  EXPECT_EQ(VerdictOf(Ethernet({.destination = everybody}, PacketOf(kVip4, 1500))), LB_TOO_BIG);
  const Segment quoted =
      Ip({.source = kVip4, .destination = kClient4}, Tcp({.source = 80}, std::string(1450, 'x')));
  const Segment error =
      Ip({.source = kClient4, .destination = kVip4},
         Icmp({.type = 3}, std::string(quoted.bytes.begin(), quoted.bytes.end())));
  EXPECT_EQ(VerdictOf(Ethernet({}, error)), LB_TOO_BIG);
}

TEST_F(TooBigRuleTest, FirstFragmentsAreToldOfAndLaterOnesNot) {
  Serve();
  const auto fragment = [](uint16_t flags, size_t length) {
    return Ethernet({}, Ip({.source = kClient4, .destination = kVip4, .id = 7, .fragment = flags},
                           Udp({}, std::string(length, 'x'))));
  };
  EXPECT_EQ(VerdictOf(fragment(0x2000, 1472)), LB_TOO_BIG_REPLY);
  EXPECT_EQ(VerdictOf(fragment(0x2000, 400)), LB_FORWARD);  // so that later ones are known
  EXPECT_EQ(VerdictOf(fragment(0x2001, 1472)), LB_TOO_BIG);
}

TEST_F(TooBigRuleTest, NoLinkOfIpv6IsToldToBeSmallerThanItMayBe) {
  Serve();
  balancer_->SetNextHops({{Real6(1), Gateway(1319)}});
  EXPECT_EQ(VerdictOf(Ethernet({}, PacketOf(kVip6, 1280))), LB_TOO_BIG);
}

TEST_F(TooBigRuleTest, NobodyIsToldWhereThatIsOff) {
  model::Settings settings;
  settings.icmp.too_big_per_second = 0;
  Serve(settings);
  EXPECT_EQ(VerdictOf(Ethernet({}, PacketOf(kVip4, 1500))), LB_TOO_BIG);
  EXPECT_EQ(VerdictOf(Ethernet({}, PacketOf(kVip6, 1500))), LB_TOO_BIG);
}

TEST_F(TooBigRuleTest, ChecksumsHoldWhateverIsQuoted) {
  model::Settings settings;
  settings.icmp.too_big_per_second = 1'000'000;
  Serve(settings);
  int told = 0;
  for (uint32_t i = 0; i < 3000; ++i) {
    const Segment payload =
        Tcp({.source = static_cast<uint16_t>(i * 7)}, std::string(1500, static_cast<char>(i)));
    const bool v4 = i % 2 == 0;
    const ProgRun run = balancer_->SendFast(
        v4 ? Ethernet({},
                      Ip({.source = kClient4, .destination = kVip4, .id = static_cast<uint16_t>(i)},
                         payload))
           : Ethernet({},
                      Ip({.source = kClient6, .destination = kVip6, .flow_label = i}, payload)));
    if (run.action != 3) continue;
    ++told;
    const std::span bytes(run.out);
    if (v4) {
      ASSERT_TRUE(InternetSum().Add(bytes.subspan(14, 20)).holds());
      ASSERT_TRUE(InternetSum().Add(bytes.subspan(34)).holds());
    } else {
      const std::span message = bytes.subspan(54);
      ASSERT_TRUE(InternetSum()
                      .Add(bytes.subspan(22, 32))
                      .Add(static_cast<uint16_t>(message.size()))
                      .Add(uint16_t{58})
                      .Add(message)
                      .holds());
    }
  }
  EXPECT_GT(told, 1000);
}

}  // namespace
}  // namespace lb::testing
