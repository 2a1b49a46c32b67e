// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/frame.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <initializer_list>

#include "lbd/dataplane/flow_packet.h"

namespace lb::dataplane {
namespace {

constexpr size_t kMacs = 12, kEthernet = 14;

Frame Plain(const char* source, const char* destination) {
  return MakeFrame({.source = IpAddress::Parse(source).value(),
                    .destination = IpAddress::Parse(destination).value(),
                    .source_port = 4000,
                    .destination_port = 80})
      .value();
}

Frame Tagged(Frame frame, std::initializer_list<uint8_t> tags) {
  frame.insert(frame.begin() + kMacs, tags);
  return frame;
}

uint16_t HeaderSum(const Frame& frame) {
  uint32_t sum = 0;
  for (size_t at = kEthernet; at < kEthernet + 20; at += 2) sum += frame[at] << 8 | frame[at + 1];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

TEST(FrameTest, TheIpPacketBeginsBehindTheTags) {
  const Frame v4 = Plain("192.0.2.1", "192.0.2.2");
  EXPECT_EQ(IpOffset(v4), 14u);
  EXPECT_EQ(IpOffset(Plain("2001:db8::1", "2001:db8::2")), 14u);
  EXPECT_EQ(IpOffset(Tagged(v4, {0x81, 0, 0, 7})), 18u);
  EXPECT_EQ(IpOffset(Tagged(v4, {0x88, 0xa8, 0, 7, 0x81, 0, 0, 8})), 22u);
  EXPECT_FALSE(IpOffset(Tagged(v4, {0x81, 0, 0, 7, 0x81, 0, 0, 8, 0x81, 0, 0, 9})));
  EXPECT_FALSE(IpOffset(Tagged(v4, {0x08, 0x06})));
  EXPECT_FALSE(IpOffset(std::span(v4).first(13)));
}

TEST(FrameTest, AHopIsPutBackWithTheChecksum) {
  Frame v4 = Plain("192.0.2.1", "192.0.2.2");
  for (int ttl = v4[kEthernet + 8]; ttl < 255; ++ttl) {
    PutHopBack(v4);
    ASSERT_EQ(v4[kEthernet + 8], ttl + 1);
    ASSERT_EQ(HeaderSum(v4), 0xffff) << ttl;
  }
  Frame v6 = Plain("2001:db8::1", "2001:db8::2");
  Frame expected = v6;
  ++expected[kEthernet + 7];
  PutHopBack(v6);
  EXPECT_EQ(v6, expected);
  for (size_t size = 0; size < kEthernet + 20; ++size) {
    Frame cut(v4.begin(), v4.begin() + size);
    const Frame before = cut;
    PutHopBack(cut);
    EXPECT_EQ(cut, before) << size;
  }
}

TEST(FrameTest, OnlyLaterFragmentsHaveAKey) {
  Frame v4 = Plain("192.0.2.1", "192.0.2.2");
  v4[kEthernet + 4] = 0x12;
  v4[kEthernet + 5] = 0x34;
  EXPECT_FALSE(LaterFragmentOf(v4));
  v4[kEthernet + 6] = 0x20;  // the first of several
  EXPECT_FALSE(LaterFragmentOf(v4));
  v4[kEthernet + 7] = 5;
  const auto key = LaterFragmentOf(v4);
  ASSERT_TRUE(key);
  EXPECT_EQ(ntohs(key->id), 0x1234);
  EXPECT_EQ(key->protocol, 6u);
  EXPECT_EQ(ntohl(key->source[3]), 0xc0000201u);
  EXPECT_EQ(ntohl(key->destination[2]), 0xffffu);

  Frame v6 = Plain("2001:db8::1", "2001:db8::2");
  EXPECT_FALSE(LaterFragmentOf(v6));
  // Hop-by-hop options of 16 bytes, then the fragment header.
  v6[kEthernet + 6] = 0;
  const std::initializer_list<uint8_t> headers = {44, 1, 0, 0, 0, 0, 0, 0, 0,    0,    0,    0,
                                                  0,  0, 0, 0, 6, 0, 0, 8, 0xab, 0xcd, 0x12, 0x34};
  v6.insert(v6.begin() + kEthernet + 40, headers);
  const auto key6 = LaterFragmentOf(v6);
  ASSERT_TRUE(key6);
  EXPECT_EQ(ntohl(key6->id), 0xabcd1234u);
  EXPECT_EQ(key6->protocol, 0u);
  EXPECT_EQ(ntohl(key6->source[0]), 0x20010db8u);
  for (size_t size = 0; size < kEthernet + 64; ++size) {
    EXPECT_FALSE(LaterFragmentOf(std::span(v6).first(size))) << size;
  }
}

}  // namespace
}  // namespace lb::dataplane
