// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/model/config_testing.h"

namespace lb::model {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class DiffTest : public testing::Test {
 protected:
  DiffTest() {
    before_.settings.interfaces = {"eth0"};
    after_ = before_;
  }

  std::vector<std::string> Lines() const { return Diff(before_, after_); }

  Config before_ = ConfigOf({VipOf("192.0.2.1:80/tcp", {"10.0.0.1", "10.0.0.2"}),
                             VipOf("[2001:db8::53]:53/udp", {"10.0.0.1"})});
  Config after_;
};

TEST_F(DiffTest, EqualConfigurationsDoNotDiffer) { EXPECT_THAT(Lines(), IsEmpty()); }

TEST_F(DiffTest, EverySettingHasItsLine) {
  Settings& settings = after_.settings;
  settings.interfaces = {"eth0", "eth1"};
  settings.xdp_mode = XdpMode::kAuto;
  settings.attach = AttachMode::kChained;
  settings.chain = {.map = "/sys/fs/bpf/root", .position = 2};
  settings.next_hop_mac = MacAddress::Parse("02:00:5e:10:00:01").value();
  settings.outer_source_v4 = *IpPrefix::Parse("10.9.0.0/16");
  settings.outer_source_v6 = *IpPrefix::Parse("fd00::/64");
  settings.limits = {.vips = 1, .reals = 64, .ring_slots = 65536};
  EXPECT_THAT(Lines(),
              ElementsAre("~ interfaces [eth0] -> [eth0, eth1]", "~ xdp_mode native -> auto",
                          "~ attach direct -> chained", "~ chain.map \"\" -> \"/sys/fs/bpf/root\"",
                          "~ chain.position 0 -> 2", "~ next_hop.mac resolved -> 02:00:5e:10:00:01",
                          "~ encap.source_v4 172.16.0.0/16 -> 10.9.0.0/16",
                          "~ encap.source_v6 100::/64 -> fd00::/64", "~ limits.vips 512 -> 1",
                          "~ limits.reals 4096 -> 64", "~ limits.ring_slots 2097152 -> 65536"));
}

TEST_F(DiffTest, AKeyIsNamedButNeverShown) {
  after_.settings.hash_key = {0x1234567890abcdef, 42};
  EXPECT_THAT(Lines(), ElementsAre("~ hash_key"));
}

TEST_F(DiffTest, VipsComeAndGo) {
  after_.vips[0] = VipOf("192.0.2.1:81/tcp", {"10.0.0.1", "10.0.0.2", "10.0.0.3"});
  EXPECT_THAT(Lines(), ElementsAre("- 192.0.2.1:80/tcp", "+ 192.0.2.1:81/tcp (3 reals)"));
}

TEST_F(DiffTest, RealsComeAndGo) {
  after_.vips[0].reals[1].address = Ip("2001:db8::2");
  EXPECT_THAT(Lines(), ElementsAre("- 192.0.2.1:80/tcp real 10.0.0.2",
                                   "+ 192.0.2.1:80/tcp real 2001:db8::2"));
}

TEST_F(DiffTest, NameAndRingOfAVip) {
  after_.vips[0].name = "web";
  after_.vips[1].ring = {.scheme = RingScheme::kMaglev, .bits = 12};
  EXPECT_THAT(Lines(), ElementsAre("~ 192.0.2.1:80/tcp: name \"\" -> \"web\"",
                                   "~ [2001:db8::53]:53/udp: ring rendezvous/auto -> maglev/12"));
}

TEST_F(DiffTest, WeightAndStateOfAReal) {
  after_.vips[0].reals[0].weight = 50;
  after_.vips[0].reals[1].state = RealState::kDown;
  EXPECT_THAT(Lines(), ElementsAre("~ 192.0.2.1:80/tcp real 10.0.0.1: weight 100 -> 50",
                                   "~ 192.0.2.1:80/tcp real 10.0.0.2: state active -> down"));
}

TEST_F(DiffTest, OrderDoesNotMatter) {
  std::swap(after_.vips[0], after_.vips[1]);
  std::swap(after_.vips[1].reals[0], after_.vips[1].reals[1]);
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(DiffTest, BackwardsEveryAdditionIsARemoval) {
  after_.vips.push_back(VipOf("192.0.2.9:80"));
  EXPECT_THAT(Lines(), ElementsAre("+ 192.0.2.9:80/tcp (0 reals)"));
  std::swap(before_, after_);
  EXPECT_THAT(Lines(), ElementsAre("- 192.0.2.9:80/tcp"));
}

TEST_F(DiffTest, ChecksTellWhatHasChangedInThemButNoSecret) {
  HttpCheck http{.path = "/", .host = "a.test"};
  before_.vips[0].checks = {{.kind = HttpsCheck{.http = http}, .port = 443},
                            {.kind = UdpCheck{.send = "key 1", .expect = "yes"}},
                            {.kind = TcpCheck()},
                            {.kind = DnsCheck{.name = "a.test"}}};
  after_ = before_;
  http.path = "/ready";
  http.headers = {{"Authorization", "secret"}};
  http.statuses = {{200, 200}, {300, 399}};
  after_.vips[0].checks = {
      {.kind = HttpsCheck{.http = http, .tls = {.verify = false}}, .port = 8443},
      {.kind = UdpCheck{.send = "key 2", .expect = "yes"}, .timing = {.fall = 5}},
      {.kind = IcmpCheck()}};
  EXPECT_THAT(Lines(),
              ElementsAre("~ 192.0.2.1:80/tcp: checks[0] https.path \"/\" -> \"/ready\"",
                          "~ 192.0.2.1:80/tcp: checks[0] https.headers",
                          "~ 192.0.2.1:80/tcp: checks[0] https.status [200-299] -> [200, 300-399]",
                          "~ 192.0.2.1:80/tcp: checks[0] https.verify true -> false",
                          "~ 192.0.2.1:80/tcp: checks[0] port 443 -> 8443",
                          "~ 192.0.2.1:80/tcp: checks[1] udp.send",
                          "~ 192.0.2.1:80/tcp: checks[1] fall 3 -> 5",
                          "~ 192.0.2.1:80/tcp: checks[2] tcp -> icmp",
                          "~ 192.0.2.1:80/tcp: checks[3] - dns"));
}

}  // namespace
}  // namespace lb::model
