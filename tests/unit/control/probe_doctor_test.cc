// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/probe_doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/unit/model/config_testing.h"

namespace lb::control {
namespace {

using dataplane::Finding;
using dataplane::Level;
using model::Ip;
using model::Key;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kWeb = "192.0.2.1:80/tcp";

// A host that probes as it ought to.
struct Host {
  Host() {
    config.settings.interfaces = {"eth0"};
    config.vips = {model::VipOf(kWeb, {"10.0.0.1"})};
    config.vips[0].checks = {{.kind = model::TcpCheck()}};
    health.probing = true;
    health.probes.source_v4 = Ip("192.0.2.10");
    health.probes.sockets = {{.interface = "eth0", .problem = "", .queues = 4, .tested = true}};
  }
  std::vector<Finding> Bad() const {
    std::vector<Finding> findings = ExamineProbes(config, health, host);
    std::erase_if(findings, [](const Finding& finding) { return finding.level == Level::kOk; });
    return findings;
  }

  model::Config config;
  HealthReport health;
  ProbeHost host;
};

TEST(ProbeDoctorTest, AGoodHostIsFine) { EXPECT_THAT(Host().Bad(), IsEmpty()); }

TEST(ProbeDoctorTest, EachFaultIsFoundWithItsRemedy) {
  const struct {
    const char* check;
    Level level;
    const char* message;
    const char* fix;
    std::function<void(Host&)> harm;
  } cases[] = {
      {"probes", Level::kWarn, "health is none: the checks of 1 VIPs", "take \"health: none\" out",
       [](Host& host) { host.config.probes.mode = model::HealthMode::kNone; }},
      {"probes: source", Level::kFail, "no IPv4 address to probe from",
       "ip addr add ADDRESS/24 dev eth0, or set probes.source_v4",
       [](Host& host) { host.health.probes.source_v4.reset(); }},
      {"probes: source", Level::kFail, "no IPv6 address to probe from, which 192.0.2.1:80/tcp",
       "ip addr add ADDRESS/64 dev eth0, or set probes.source_v6",
       [](Host& host) { host.config.vips[0].reals[0].address = Ip("2001:db8::1"); }},
      {"probes: source", Level::kFail,
       "no interface of this host has 192.0.2.10, which is probes.source_v4",
       "ip addr add 192.0.2.10/32 dev eth0",
       [](Host& host) { host.host.foreign_sources = {Ip("192.0.2.10")}; }},
      {"probes: source", Level::kFail, "has 2001:db8::10, which is probes.source_v6",
       "ip addr add 2001:db8::10/128 dev eth0",
       [](Host& host) {
         host.config.vips[0].reals[0].address = Ip("2001:db8::1");
         host.health.probes.source_v6 = Ip("2001:db8::10");
         host.host.foreign_sources = {Ip("2001:db8::10")};
       }},
      {"probes: ports", Level::kFail, "taken", "sysctl -w x",
       [](Host& host) {
         host.host.clash = health::PortClash{.problem = "taken", .fix = "sysctl -w x"};
       }},
      {"eth0: probes", Level::kFail, "another program has an AF_XDP socket there",
       "end it (ss --xdp -p names it)",
       [](Host& host) {
         host.health.probes.sockets[0].problem =
             "open a socket: another program has an AF_XDP socket there; end it (ss --xdp -p names "
             "it)";
       }},
      {"eth0: probes", Level::kFail, "send by eth0: Network is down", "ip link show eth0",
       [](Host& host) { host.health.probes.sockets[0].problem = "send by eth0: Network is down"; }},
      {"eth0: probes", Level::kWarn, "4 queues", "lbctl health",
       [](Host& host) { host.health.probes.sockets[0].tested = false; }},
  };
  for (const auto& test : cases) {
    Host host;
    test.harm(host);
    const auto bad = host.Bad();
    ASSERT_EQ(bad.size(), 1u) << test.message;
    EXPECT_EQ(bad[0].check, test.check);
    EXPECT_EQ(bad[0].level, test.level) << test.message;
    EXPECT_THAT(bad[0].message, HasSubstr(test.message));
    EXPECT_THAT(bad[0].fix, HasSubstr(test.fix));
  }
}

TEST(ProbeDoctorTest, OnlyAddressesThatProbesNeedAreMissed) {
  Host host;
  host.config.vips[0].reals[0].address = Ip("2001:db8::1");
  host.config.probes.dataplane_source = true;  // the outer source is the forwarder's
  EXPECT_THAT(host.Bad(), IsEmpty());
  host.config.probes.dataplane_source = false;
  host.config.vips[0].reals[0].encap = model::Encap::kL2;  // no tunnel
  EXPECT_THAT(host.Bad(), IsEmpty());
  // An echo goes to the real, not to the VIP.
  host.config.vips[0] = model::VipOf("[2001:db8::80]:80/tcp", {"10.0.0.1"});
  host.config.vips[0].checks = {{.kind = model::IcmpCheck()}};
  EXPECT_THAT(host.Bad(), IsEmpty());
  // So it does not matter either whether one that is set is there.
  host.health.probes.source_v6 = Ip("2001:db8::10");
  host.host.foreign_sources = {Ip("2001:db8::10")};
  EXPECT_THAT(host.Bad(), IsEmpty());
  // A VIP without checks needs none.
  host.config.vips.push_back(model::VipOf("[2001:db8::81]:80/tcp", {"2001:db8::1"}));
  EXPECT_THAT(host.Bad(), IsEmpty());
}

TEST(ProbeDoctorTest, AVipWithTooFewHealthyRealsIsNamed) {
  Host host;
  HealthBook book;
  book.Update(host.config, HealthBook::TimePoint());
  auto findings = ExamineHealth(host.config, book);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].level, Level::kWarn);
  EXPECT_EQ(findings[0].message, "192.0.2.1:80/tcp: 0 of 1 needed reals are healthy");
  EXPECT_EQ(findings[0].fix, "lbctl health 192.0.2.1:80/tcp");
  host.config.vips[0].health.fail_open = true;
  findings = ExamineHealth(host.config, book);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].level, Level::kFail);
  EXPECT_THAT(findings[0].message, HasSubstr("failed open"));
  book.Note({.vip = Key(kWeb), .real = Ip("10.0.0.1"), .up = true, .reason = "", .at = {}});
  EXPECT_THAT(ExamineHealth(host.config, book), IsEmpty());
}

}  // namespace
}  // namespace lb::control
