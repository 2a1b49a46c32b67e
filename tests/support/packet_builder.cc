// SPDX-License-Identifier: Apache-2.0
#include "tests/support/packet_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "tests/support/checksum.h"

namespace lb::testing {
namespace {

constexpr uint8_t kProtocolIpv4 = 4;
constexpr uint8_t kProtocolIpv6 = 41;

void Append(Bytes& bytes, std::span<const uint8_t> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

void Append8(Bytes& bytes, uint8_t value) { bytes.push_back(value); }

void Append16(Bytes& bytes, uint16_t value) {
  bytes.push_back(static_cast<uint8_t>(value >> 8));
  bytes.push_back(static_cast<uint8_t>(value));
}

void Append32(Bytes& bytes, uint32_t value) {
  Append16(bytes, static_cast<uint16_t>(value >> 16));
  Append16(bytes, static_cast<uint16_t>(value));
}

void AppendText(Bytes& bytes, std::string_view text) {
  bytes.insert(bytes.end(), text.begin(), text.end());
}

void Store16(Bytes& bytes, size_t at, uint16_t value) {
  bytes.at(at) = static_cast<uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<uint8_t>(value);
}

Segment MakeIcmp(uint8_t protocol, const IcmpHeader& header, std::string_view payload) {
  Segment segment{.protocol = protocol, .checksum_at = 2};
  Append8(segment.bytes, header.type);
  Append8(segment.bytes, header.code);
  Append16(segment.bytes, 0);
  Append16(segment.bytes, header.id);
  Append16(segment.bytes, header.sequence);
  AppendText(segment.bytes, payload);
  return segment;
}

// The payload with its checksum, now that the addresses are known.
Bytes Complete(const IpHeader& header, const Segment& payload) {
  Bytes bytes = payload.bytes;
  if (!payload.checksum_at) return bytes;
  InternetSum sum;
  sum.Add(bytes);
  if (payload.pseudo_header) {
    sum.Add(header.source.bytes()).Add(header.destination.bytes());
    sum.Add(payload.protocol).Add(static_cast<uint16_t>(bytes.size()));
  }
  Store16(bytes, *payload.checksum_at, sum.checksum());
  return bytes;
}

Segment Ipv4(const IpHeader& header, const Bytes& payload, uint8_t protocol) {
  const size_t header_length = 20 + header.options.size();
  Segment packet{.protocol = kProtocolIpv4};
  Append8(packet.bytes, static_cast<uint8_t>(header.version.value_or(4) << 4 |
                                             header.header_words.value_or(header_length / 4)));
  Append8(packet.bytes, header.tos);
  Append16(packet.bytes, header.length.value_or(header_length + payload.size()));
  Append16(packet.bytes, header.id);
  Append16(packet.bytes, header.fragment);
  Append8(packet.bytes, header.ttl);
  Append8(packet.bytes, protocol);
  Append16(packet.bytes, 0);
  Append(packet.bytes, header.source.bytes());
  Append(packet.bytes, header.destination.bytes());
  Append(packet.bytes, header.options);
  const uint16_t checksum = InternetSum().Add(packet.bytes).checksum();
  Store16(packet.bytes, 10, header.header_checksum.value_or(checksum));
  Append(packet.bytes, payload);
  return packet;
}

Segment Ipv6(const IpHeader& header, const Bytes& payload, uint8_t protocol) {
  Segment packet{.protocol = kProtocolIpv6};
  Append32(packet.bytes, uint32_t{header.version.value_or(6)} << 28 | uint32_t{header.tos} << 20 |
                             header.flow_label);
  Append16(packet.bytes, header.length.value_or(payload.size()));
  Append8(packet.bytes, protocol);
  Append8(packet.bytes, header.ttl);
  Append(packet.bytes, header.source.mapped());
  Append(packet.bytes, header.destination.mapped());
  Append(packet.bytes, payload);
  return packet;
}

}  // namespace

IpAddress Address(std::string_view text) { return IpAddress::Parse(text).value(); }

IpAddress Real4(int number) {
  return Address(fmt::format("10.0.{}.{}", number / 256, number % 256));
}

IpAddress Real6(int number) { return Address(fmt::format("fd00::{:x}", number)); }

Segment Segment::WithChecksum(uint16_t checksum) const {
  Segment result = *this;
  Store16(result.bytes, checksum_at.value(), checksum);
  result.checksum_at.reset();
  return result;
}

Segment Tcp(const TcpHeader& header, std::string_view payload) {
  Segment segment{.protocol = 6, .checksum_at = 16};
  Append16(segment.bytes, header.source);
  Append16(segment.bytes, header.destination);
  Append32(segment.bytes, 0x01020304);  // sequence
  Append32(segment.bytes, 0);           // acknowledgement
  const size_t words = 5 + header.options.size() / 4;
  Append8(segment.bytes, static_cast<uint8_t>(words << 4));
  Append8(segment.bytes, header.flags);
  Append16(segment.bytes, 64240);  // window
  Append16(segment.bytes, 0);      // checksum
  Append16(segment.bytes, 0);      // urgent pointer
  segment.bytes.insert(segment.bytes.end(), header.options.begin(), header.options.end());
  AppendText(segment.bytes, payload);
  return segment;
}

Segment Udp(const UdpHeader& header, std::string_view payload) {
  Segment segment{.protocol = 17, .checksum_at = 6};
  Append16(segment.bytes, header.source);
  Append16(segment.bytes, header.destination);
  Append16(segment.bytes, static_cast<uint16_t>(8 + payload.size()));
  Append16(segment.bytes, 0);  // checksum
  AppendText(segment.bytes, payload);
  return segment;
}

Segment Icmp(const IcmpHeader& header, std::string_view payload) {
  Segment segment = MakeIcmp(1, header, payload);
  segment.pseudo_header = false;
  return segment;
}

Segment Icmp6(const IcmpHeader& header, std::string_view payload) {
  return MakeIcmp(58, header, payload);
}

Segment Opaque(uint8_t protocol, std::string_view payload) {
  Segment segment{.protocol = protocol};
  AppendText(segment.bytes, payload);
  return segment;
}

Segment Extension(uint8_t protocol, const Segment& payload, size_t units) {
  Segment segment{.protocol = protocol};
  Append8(segment.bytes, payload.protocol);
  Append8(segment.bytes, static_cast<uint8_t>(units - 1));
  segment.bytes.resize(8 * units);  // zeros: Pad1 options, or no segments left
  Append(segment.bytes, payload.bytes);
  return segment;
}

Segment Fragment6(uint32_t id, uint16_t offset, bool more, const Segment& payload) {
  Segment segment{.protocol = kFragment};
  Append8(segment.bytes, payload.protocol);
  Append8(segment.bytes, 0);
  Append16(segment.bytes, static_cast<uint16_t>(offset << 3 | more));
  Append32(segment.bytes, id);
  Append(segment.bytes, payload.bytes);
  return segment;
}

Segment Ip(const IpHeader& header, const Segment& payload) {
  const Bytes bytes = Complete(header, payload);
  return header.destination.is_v4() ? Ipv4(header, bytes, payload.protocol)
                                    : Ipv6(header, bytes, payload.protocol);
}

Bytes Ethernet(const EthernetHeader& header, const Segment& packet) {
  Bytes frame;
  Append(frame, header.destination.bytes());
  Append(frame, header.source.bytes());
  Append16(frame, header.type.value_or(packet.protocol == kProtocolIpv6 ? 0x86dd : 0x0800));
  Append(frame, packet.bytes);
  frame.insert(frame.end(), header.padding, 0xa5);
  return frame;
}

Bytes Tagged(const Bytes& frame, const std::vector<uint32_t>& tags) {
  Bytes bytes;
  for (const uint32_t tag : tags) Append32(bytes, tag);
  Bytes tagged = frame;
  tagged.insert(tagged.begin() + 12, bytes.begin(), bytes.end());
  return tagged;
}

Bytes Truncated(const Bytes& frame, size_t length) {
  return {frame.begin(), frame.begin() + static_cast<ptrdiff_t>(std::min(length, frame.size()))};
}

::testing::AssertionResult SameBytes(const Bytes& expected, const Bytes& actual) {
  if (expected == actual) return ::testing::AssertionSuccess();
  constexpr size_t kPerLine = 16;
  const auto line = [](const Bytes& bytes, size_t at) {
    std::string text;
    for (size_t i = at; i < std::min(at + kPerLine, bytes.size()); ++i) {
      text += fmt::format("{:02x} ", bytes[i]);
    }
    return text;
  };
  std::string table = fmt::format("  {:4}  {:<48}  {}\n", "", "expected", "actual");
  for (size_t at = 0; at < std::max(expected.size(), actual.size()); at += kPerLine) {
    const std::string left = line(expected, at);
    const std::string right = line(actual, at);
    table += fmt::format("{} {:4}  {:<48}  {}\n", left == right ? ' ' : '!', at, left, right);
  }
  return ::testing::AssertionFailure()
         << fmt::format("expected {} bytes, got {}\n", expected.size(), actual.size()) << table;
}

}  // namespace lb::testing
