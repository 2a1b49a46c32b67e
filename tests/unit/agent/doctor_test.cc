// SPDX-License-Identifier: Apache-2.0
#include "lbd/agent/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace lb::agent {
namespace {

using dataplane::Finding;
using dataplane::Level;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const IpPrefix kVip = IpPrefix::Parse("192.0.2.1/32").value();

RealFacts Good() {
  return {.interfaces = {{.name = "eth0",
                          .exists = true,
                          .up = true,
                          .mtu = 1600,
                          .unwraps = true,
                          .rp_filter = 2,
                          .arp_ignore = 1,
                          .arp_announce = 2}},
          .vips = {{.prefix = kVip, .local = true}}};
}

std::vector<Finding> Bad(const RealFacts& facts) {
  auto findings = ExamineReal(facts);
  std::erase_if(findings, [](const Finding& finding) { return finding.level == Level::kOk; });
  return findings;
}

TEST(AgentDoctorTest, AGoodRealIsFine) {
  EXPECT_THAT(Bad(Good()), IsEmpty());
  RealFacts kernel = Good();
  kernel.interfaces[0].unwraps = false;
  kernel.tunnel_devices = {{.name = "ipip0", .rp_filter = 0}};
  EXPECT_THAT(Bad(kernel), IsEmpty());
}

TEST(AgentDoctorTest, EachFaultIsFoundWithItsFix) {
  struct Case {
    const char* check;
    const char* fix;
    std::function<void(RealFacts&)> harm;
  };
  const Case cases[] = {
      {"vip 192.0.2.1", "ip addr add 192.0.2.1/32 dev lo",
       [](RealFacts& f) { f.vips[0].local = false; }},
      {"vip 192.0.2.0/24", "ip route add local 192.0.2.0/24 dev lo",
       [](RealFacts& f) {
         f.vips[0] = {.prefix = IpPrefix::Parse("192.0.2.0/24").value(), .local = false};
       }},
      {"eth0: link", "ip link set eth0 up", [](RealFacts& f) { f.interfaces[0].up = false; }},
      {"eth0: link", "ip link", [](RealFacts& f) { f.interfaces[0].exists = false; }},
      {"eth0: decapsulation", "lbagent --interface eth0 --vip 192.0.2.1",
       [](RealFacts& f) {
         f.interfaces[0].unwraps = false;
         f.unhandled_packets = 3;
       }},
      {"eth0: mtu", "ip link set eth0 mtu 1540", [](RealFacts& f) { f.interfaces[0].mtu = 1500; }},
      {"eth0: rp_filter", "net.ipv4.conf.eth0.rp_filter=2",
       [](RealFacts& f) { f.interfaces[0].rp_filter = 1; }},
      {"eth0: arp_ignore", "net.ipv4.conf.eth0.arp_ignore=1",
       [](RealFacts& f) { f.interfaces[0].arp_ignore = 0; }},
      {"eth0: arp_announce", "net.ipv4.conf.eth0.arp_announce=2",
       [](RealFacts& f) { f.interfaces[0].arp_announce = 1; }},
  };
  for (const Case& test : cases) {
    RealFacts facts = Good();
    test.harm(facts);
    const auto bad = Bad(facts);
    ASSERT_EQ(bad.size(), 1u) << test.check;
    EXPECT_EQ(bad[0].check, test.check);
    EXPECT_THAT(bad[0].fix, HasSubstr(test.fix));
  }
}

TEST(AgentDoctorTest, TunnelDevicesMayNotFilterByTheWayBack) {
  RealFacts facts = Good();
  facts.interfaces[0].unwraps = false;
  const auto found = [&](int rp_filter, bool has_address) {
    facts.tunnel_devices = {{.name = "tunl0", .rp_filter = 0},
                            {.name = "ipip0", .has_address = has_address, .rp_filter = rp_filter}};
    return Bad(facts);
  };
  EXPECT_THAT(found(0, false), IsEmpty());
  EXPECT_THAT(found(2, true), IsEmpty());
  for (const auto& bad : {found(1, true), found(1, false), found(2, false)}) {
    ASSERT_EQ(bad.size(), 1u);
    EXPECT_EQ(bad[0].check, "ipip0: rp_filter");
    EXPECT_EQ(bad[0].level, Level::kFail);
    EXPECT_EQ(bad[0].fix,
              "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.ipip0.rp_filter=0");
  }
  facts.interfaces[0].unwraps = true;
  EXPECT_THAT(found(1, false), IsEmpty()) << "lbagent unwraps first";
  facts.interfaces[0].unwraps = false;
  facts.vips[0].prefix = IpPrefix::Parse("2001:db8::1/128").value();
  EXPECT_THAT(found(1, false), IsEmpty()) << "IPv6 has no such filter";
}

TEST(AgentDoctorTest, ARealThatGetsNoTunnelsNeedsNothingThatUnwraps) {
  RealFacts l2 = Good();
  l2.interfaces[0].unwraps = false;
  l2.interfaces[0].mtu = 1500;
  EXPECT_THAT(Bad(l2), IsEmpty());
  const auto all = ExamineReal(l2);
  const auto it = std::ranges::find(all, "eth0: decapsulation", &Finding::check);
  ASSERT_NE(it, all.end());
  EXPECT_THAT(it->message, HasSubstr("encap l2 only"));
  l2.unhandled_packets = 1;
  EXPECT_EQ(Bad(l2).size(), 2u);  // and the MTU matters
}

}  // namespace
}  // namespace lb::agent
