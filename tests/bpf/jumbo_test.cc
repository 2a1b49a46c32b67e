// SPDX-License-Identifier: Apache-2.0
// Frames that the driver spreads over several buffers (xdp.frags).
#include <gtest/gtest.h>

#include <string>

#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

constexpr uint32_t kMtu = 9000;

class JumboTest : public ::testing::TestWithParam<bool> {
 protected:
  JumboTest() : balancer_(WithBuffers()) {
    for (const IpAddress& vip : {kVip4, kVip6}) {
      services_.push_back(MakeService({vip, 80, model::Protocol::kTcp}, {Real4(1)}));
    }
    balancer_.Serve(services_);
    balancer_.SetNextHops({{Real4(1), Gateway(kMtu)}});
  }
  static model::Settings WithBuffers() {
    model::Settings settings;
    settings.packets.multi_buffer = true;
    return settings;
  }
  // A packet of `length` bytes.
  static Segment Packet(size_t length) {
    const bool v4 = GetParam();
    std::string payload;
    for (size_t i = v4 ? 40 : 60; i < length; ++i)
      payload.push_back(static_cast<char>(i * 7 + i / 256));
    return Ip({.source = v4 ? kClient4 : kClient6, .destination = v4 ? kVip4 : kVip6},
              Tcp({}, payload));
  }

  Services services_;
  Balancer balancer_;
};

INSTANTIATE_TEST_SUITE_P(Families, JumboTest, ::testing::Values(true, false),
                         [](const auto& test) { return test.param ? "v4" : "v6"; });

TEST_P(JumboTest, PacketOfAnyLengthLeavesWhole) {
  for (const size_t length : {100, 1500, 3400, 3900, 4096, 8000, 8980}) {
    const Segment packet = Packet(length);
    for (const auto& tags : {std::vector<uint32_t>{}, std::vector<uint32_t>{0x8100'0005}}) {
      const Outcome outcome = balancer_.Send(Tagged(Ethernet({}, packet), tags));
      ASSERT_EQ(outcome.verdict, LB_FORWARD) << length;
      ASSERT_EQ(outcome.out.size(), 14 + 4 * tags.size() + 20 + length);
      EXPECT_TRUE(SameBytes(packet.bytes, Bytes(outcome.out.end() - length, outcome.out.end())));
    }
  }
}

TEST_P(JumboTest, WhatDoesNotFitIsAnsweredInOneBuffer) {
  const Segment packet = Packet(kMtu - 20 + 1);
  const Outcome outcome = balancer_.Send(Ethernet({}, packet));
  EXPECT_EQ(outcome.verdict, LB_TOO_BIG_REPLY);
  const size_t headers = 14 + (GetParam() ? 20 : 40) + 8;
  ASSERT_EQ(outcome.out.size(), headers + 128);
  EXPECT_TRUE(SameBytes(Bytes(packet.bytes.begin(), packet.bytes.begin() + 128),
                        Bytes(outcome.out.begin() + headers, outcome.out.end())));
  EXPECT_EQ(outcome.out[headers - 2] << 8 | outcome.out[headers - 1], kMtu - 20);
}

TEST_P(JumboTest, FrameThatEndsBeforeItsPacketIsDropped) {
  const Bytes frame = Ethernet({}, Packet(8000));
  for (const size_t length : {frame.size() - 1, size_t{4096}, size_t{1500}}) {
    EXPECT_EQ(balancer_.Send(Truncated(frame, length)).verdict, LB_BAD_LENGTH) << length;
  }
}

}  // namespace
}  // namespace lb::testing
