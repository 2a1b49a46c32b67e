// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/frame.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/support/packet_builder.h"

namespace lb::health {
namespace {

using testing::kBalancerMac;
using testing::kGatewayMac;

const IpAddress kHost4 = testing::kHost4;
const IpAddress kVip4 = testing::kVip4;

// A frame of ours must be, byte for byte, what an independent builder makes.
TEST(FrameTest, TcpInEveryMixOfFamilies) {
  for (const bool inner_v4 : {true, false}) {
    for (const bool outer_v4 : {true, false}) {
      const IpAddress source = inner_v4 ? testing::kHost4 : testing::kHost6;
      const IpAddress vip = inner_v4 ? testing::kVip4 : testing::kVip6;
      const IpAddress outer = outer_v4 ? testing::kHost4 : testing::kHost6;
      const IpAddress real = outer_v4 ? testing::Real4(1) : testing::Real6(1);
      const Route route{
          .source = kBalancerMac, .destination = kGatewayMac, .tunnel = Route::Tunnel{outer, real}};
      std::array<uint8_t, 256> buffer;
      const std::string payload = "odd";
      const size_t size = WriteTcp(
          buffer, route,
          {.source = source, .destination = vip, .source_port = 61000, .destination_port = 80},
          {.seq = 0, .ack = 0, .flags = kSyn, .window = 0},
          Bytes(reinterpret_cast<const uint8_t*>(payload.data()), payload.size()));
      testing::Segment expected =
          testing::Tcp({.source = 61000, .destination = 80, .flags = kSyn}, payload);
      // Windows and sequence numbers are the builder's own choice.
      std::copy_n(buffer.begin() + size - payload.size() - 20 + 4, 8, expected.bytes.begin() + 4);
      std::copy_n(buffer.begin() + size - payload.size() - 20 + 14, 2, expected.bytes.begin() + 14);
      const testing::Bytes frame = testing::Ethernet(
          {.source = kBalancerMac, .destination = kGatewayMac},
          testing::Ip({.source = outer, .destination = real},
                      testing::Ip({.source = source, .destination = vip}, expected)));
      EXPECT_TRUE(testing::SameBytes(frame, testing::Bytes(buffer.begin(), buffer.begin() + size)));
    }
  }
}

// What is between the outer and the inner header, as an independent builder makes it.
testing::Segment Carrier(model::Encap encap, const testing::Segment& inner) {
  const std::string bytes(inner.bytes.begin(), inner.bytes.end());
  if (encap == model::Encap::kGue) {
    return testing::Udp({.source = 0xc123, .destination = 6080}, bytes).WithChecksum(0);
  }
  return testing::Opaque(47, std::string("\0\0", 2) + (inner.protocol == 4 ? "\x08" : "\x86") +
                                 (inner.protocol == 4 ? std::string(1, '\0') : "\xdd") + bytes);
}

TEST(FrameTest, EveryEncapIsAsTheForwarderWritesIt) {
  for (const model::Encap encap : {model::Encap::kGue, model::Encap::kGre}) {
    for (const bool inner_v4 : {true, false}) {
      for (const bool outer_v4 : {true, false}) {
        const IpAddress source = inner_v4 ? testing::kHost4 : testing::kHost6;
        const IpAddress vip = inner_v4 ? testing::kVip4 : testing::kVip6;
        const IpAddress outer = outer_v4 ? testing::kHost4 : testing::kHost6;
        const IpAddress real = outer_v4 ? testing::Real4(1) : testing::Real6(1);
        const Route route{.source = kBalancerMac,
                          .destination = kGatewayMac,
                          .tunnel = Route::Tunnel{outer, real, encap, 0xc123, 6080}};
        std::array<uint8_t, 256> buffer;
        const std::string payload = "ping";
        const size_t size =
            WriteUdp(buffer, route, {source, vip, 61000, 53},
                     Bytes(reinterpret_cast<const uint8_t*>(payload.data()), payload.size()));
        const testing::Segment inner =
            testing::Ip({.source = source, .destination = vip},
                        testing::Udp({.source = 61000, .destination = 53}, payload));
        const testing::Bytes frame = testing::Ethernet(
            {.source = kBalancerMac, .destination = kGatewayMac},
            testing::Ip({.source = outer, .destination = real}, Carrier(encap, inner)));
        EXPECT_TRUE(
            testing::SameBytes(frame, testing::Bytes(buffer.begin(), buffer.begin() + size)))
            << model::ToString(encap);
        const auto packet = ParseFrame(Bytes(buffer).first(size));
        ASSERT_TRUE(packet);
        const auto found = ParseInner(*packet, 6080);
        ASSERT_TRUE(found);
        EXPECT_EQ(found->destination, vip);
        EXPECT_EQ(ParseInner(*packet, 6081).has_value(), encap == model::Encap::kGre);
      }
    }
  }
}

TEST(FrameTest, WithoutATunnelNothingIsInside) {
  for (const testing::Segment& segment :
       {testing::Tcp({}), testing::Udp({.destination = 6080}, "\x45"), testing::Opaque(47, "\x20"),
        testing::Opaque(47, std::string("\x20\0\x08\0", 4)), testing::Opaque(4, "E")}) {
    const auto frame =
        testing::Ethernet({}, testing::Ip({.source = kVip4, .destination = kHost4}, segment));
    const auto packet = ParseFrame(frame);
    ASSERT_TRUE(packet);
    EXPECT_FALSE(ParseInner(*packet, 6080));
  }
}

TEST(FrameTest, WhatDoesNotFitIsNotWritten) {
  std::array<uint8_t, 60> buffer;
  const Route route{.source = kBalancerMac,
                    .destination = kGatewayMac,
                    .tunnel = Route::Tunnel{kHost4, testing::Real4(1)}};
  EXPECT_EQ(WriteTcp(buffer, route, {.source = kHost4, .destination = kVip4}, {}, {}), 0u);
}

TEST(FrameTest, ReadsTcpOfBothFamilies) {
  for (const bool v4 : {true, false}) {
    const IpAddress source = v4 ? testing::kVip4 : testing::kVip6;
    const IpAddress host = v4 ? testing::kHost4 : testing::kHost6;
    const auto frame = testing::Ethernet(
        {.padding = 6},
        testing::Ip({.source = source, .destination = host},
                    testing::Tcp({.source = 80, .destination = 61000, .flags = 0x12}, "x")));
    const auto packet = ParseFrame(frame);
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->source, source);
    EXPECT_EQ(packet->destination, host);
    const auto segment = ParseTcp(*packet);
    ASSERT_TRUE(segment);
    EXPECT_EQ(segment->source_port, 80);
    EXPECT_EQ(segment->destination_port, 61000);
    EXPECT_EQ(segment->header.flags, kSyn | kAck);
    EXPECT_EQ(segment->payload.size(), 1u) << "padding is no payload";
    EXPECT_FALSE(ParseUdp(*packet));
    EXPECT_FALSE(ParseIcmp(*packet));
  }
}

TEST(FrameTest, EveryFlippedBitIsFoundOut) {
  const auto good = testing::Ethernet(
      {}, testing::Ip({.source = kVip4, .destination = kHost4},
                      testing::Tcp({.source = 80, .destination = 61000}, "hello")));
  for (size_t bit = 14 * 8; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] ^= 1 << (bit % 8);
    const auto packet = ParseFrame(bad);
    EXPECT_FALSE(packet && ParseTcp(*packet)) << "bit " << bit;
  }
}

TEST(FrameTest, EveryCutIsFoundOut) {
  const auto good = testing::Ethernet(
      {}, testing::Ip({.source = testing::kVip6, .destination = testing::kHost6},
                      testing::Tcp({.source = 80, .destination = 61000}, "hello")));
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(ParseFrame(Bytes(good).first(size))) << size;
  }
}

TEST(FrameTest, TagsArePassedOver) {
  auto frame = testing::Ethernet(
      {}, testing::Ip({.source = kVip4, .destination = kHost4}, testing::Tcp({}, "")));
  const std::array<uint8_t, 4> tag = {0x81, 0x00, 0x00, 0x05};
  for (int tags = 1; tags <= 3; ++tags) {
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    EXPECT_EQ(ParseFrame(frame).has_value(), tags <= 2) << tags;
  }
}

TEST(FrameTest, EchoRequestsAreReadBack) {
  for (const bool v4 : {true, false}) {
    const IpAddress source = v4 ? testing::kHost4 : testing::kHost6;
    const IpAddress real = v4 ? testing::Real4(1) : testing::Real6(1);
    std::array<uint8_t, 128> buffer;
    const std::array<uint8_t, 8> cookie = {1, 2, 3, 4, 5, 6, 7, 8};
    const size_t size = WriteEchoRequest(buffer, {}, {.source = source, .destination = real}, 61000,
                                         0x6c62, cookie);
    const auto packet = ParseFrame(Bytes(buffer).first(size));
    ASSERT_TRUE(packet);
    const auto message = ParseIcmp(*packet);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->type, v4 ? 8 : 128);
    EXPECT_EQ(message->id, 61000);
    EXPECT_EQ(message->sequence, 0x6c62);
    EXPECT_EQ(message->payload.size(), 8u);
  }
}

TEST(FrameTest, UdpIsReadBack) {
  std::array<uint8_t, 128> buffer;
  const size_t size = WriteUdp(
      buffer, {},
      {.source = kVip4, .destination = kHost4, .source_port = 53, .destination_port = 61000},
      Bytes(reinterpret_cast<const uint8_t*>("abc"), 3));
  const auto packet = ParseFrame(Bytes(buffer).first(size));
  ASSERT_TRUE(packet);
  const auto datagram = ParseUdp(*packet);
  ASSERT_TRUE(datagram);
  EXPECT_EQ(datagram->payload.size(), 3u);
  buffer[size - 1] ^= 1;
  EXPECT_FALSE(ParseUdp(*ParseFrame(Bytes(buffer).first(size))));
}

}  // namespace
}  // namespace lb::health
