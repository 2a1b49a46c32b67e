// SPDX-License-Identifier: Apache-2.0
// Frames with VLAN tags (802.1Q, 802.1ad): balanced as without, and the tags are kept.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

using Tags = std::vector<uint32_t>;

// One tag with every bit of its TCI in use, and two in the orders that are met.
const std::vector<Tags> kTags = {{0x8100'0005},
                                 {0x8100'ffff},
                                 {0x88a8'0064},
                                 {0x88a8'0064, 0x8100'2005},
                                 {0x8100'0001, 0x8100'0002}};

struct Case {
  std::string name;
  Segment packet;
  lb_verdict verdict;
};

std::vector<Case> Cases() {
  const IpHeader v4 = {.source = kClient4, .destination = kVip4};
  const IpHeader v6 = {.source = kClient6, .destination = kVip6};
  return {
      {"tcp4", Ip(v4, Tcp({}, "GET /")), LB_FORWARD},
      {"tcp6", Ip(v6, Tcp({}, "GET /")), LB_FORWARD},
      {"udp4 in 6", Ip(v4, Udp({}, "payload")), LB_FORWARD},
      {"udp6 in 4", Ip(v6, Udp({}, "payload")), LB_FORWARD},
      {"options", Ip({.source = kClient4, .destination = kVip4, .options = Bytes(40, 1)}, Tcp({})),
       LB_FORWARD},
      {"ping4", Ip(v4, Icmp({}, "payload")), LB_ECHO_REPLY},
      {"ping6", Ip(v6, Icmp6({.type = kEchoRequest6}, "payload")), LB_ECHO_REPLY},
      {"other port", Ip(v4, Tcp({.destination = 81})), LB_NOT_VIP},
      {"bad header", Ip({.source = kClient4, .destination = kVip4, .header_words = 4}, Tcp({})),
       LB_BAD_HEADER},
      {"host", Ip({.source = kClient6, .destination = kHost6}, Tcp({})), LB_NOT_VIP},
  };
}

class VlanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    balancer_.Serve({MakeService({kVip4, 80, model::Protocol::kTcp}, {Real4(1), Real4(2)}),
                     MakeService({kVip6, 80, model::Protocol::kTcp}, {Real6(1), Real6(2)}),
                     MakeService({kVip4, 80, model::Protocol::kUdp}, {Real6(1), Real6(2)}),
                     MakeService({kVip6, 80, model::Protocol::kUdp}, {Real4(1), Real4(2)})});
  }

  Balancer balancer_;
};

TEST_F(VlanTest, TaggedFrameLeavesAsTheUntaggedOneButWithItsTags) {
  for (const Case& c : Cases()) {
    for (const size_t padding : {0, 4}) {
      const Bytes frame = Ethernet({.padding = padding}, c.packet);
      const Outcome plain = balancer_.Send(frame);
      EXPECT_EQ(plain.verdict, c.verdict) << c.name;
      for (const Tags& tags : kTags) {
        SCOPED_TRACE(::testing::Message() << c.name << " " << std::hex << tags.front());
        const Outcome tagged = balancer_.Send(Tagged(frame, tags));
        EXPECT_EQ(tagged.verdict, c.verdict);
        EXPECT_EQ(tagged.action, plain.action);
        EXPECT_TRUE(SameBytes(Tagged(plain.out, tags), tagged.out));
      }
    }
  }
}

TEST_F(VlanTest, TaggedFrameCutOffAtAnyLengthIsNotForwarded) {
  const Bytes frame =
      Tagged(Ethernet({}, Ip({.source = kClient4, .destination = kVip4}, Tcp({}, "x"))), kTags[3]);
  for (size_t length = 14; length < frame.size(); ++length) {
    const lb_verdict expected = length < 22 ? LB_NOT_IP : length < 42 ? LB_NOT_VIP : LB_BAD_LENGTH;
    EXPECT_EQ(balancer_.Send(Truncated(frame, length)).verdict, expected) << length;
  }
}

TEST_F(VlanTest, MoreThanTwoTagsAndWhatIsNotIpPass) {
  const Segment packet = Ip({.source = kClient4, .destination = kVip4}, Tcp({}));
  const Tags three = {0x88a8'0001, 0x8100'0002, 0x8100'0003};
  EXPECT_EQ(balancer_.Send(Tagged(Ethernet({}, packet), three)).verdict, LB_NOT_IP);
  for (const uint16_t type : {0x0806, 0x88cc, 0x0000}) {
    EXPECT_EQ(balancer_.Send(Tagged(Ethernet({.type = type}, packet), kTags[0])).verdict,
              LB_NOT_IP);
  }
}

TEST_F(VlanTest, PacketThatJustFitsTheMtuMayBeTagged) {
  balancer_.SetNextHops({{Real4(1), Gateway(1500)}, {Real4(2), Gateway(1500)}});
  for (const size_t more : {0, 1}) {
    const Segment packet =
        Ip({.source = kClient4, .destination = kVip4}, Tcp({}, std::string(1500 - 60 + more, 'x')));
    EXPECT_EQ(balancer_.Send(Tagged(Ethernet({}, packet), kTags[3])).verdict,
              more ? LB_TOO_BIG_REPLY : LB_FORWARD);
  }
}

}  // namespace
}  // namespace lb::testing
