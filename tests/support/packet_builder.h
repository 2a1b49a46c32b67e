// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/base/mac_address.h"

// Frames written from the outside in, as they stand on the wire:
//   Ethernet({}, Ip({.source = kClient4, .destination = kVip4}, Tcp({.destination = 80}, "GET /")))
// Lengths, protocol numbers and checksums fill themselves in, unless a header names them.
namespace lb::testing {

using Bytes = std::vector<uint8_t>;

// `text` must be an address.
IpAddress Address(std::string_view text);

// Who takes part.
inline constexpr MacAddress kRouterMac({0x02, 0, 0, 0, 0, 0x01});    // in front of the balancer
inline constexpr MacAddress kBalancerMac({0x02, 0, 0, 0, 0, 0x02});  //
inline constexpr MacAddress kGatewayMac({0x02, 0, 0, 0, 0, 0x03});   // on the way to the reals
inline const IpAddress kClient4 = Address("198.51.100.7");
inline const IpAddress kClient6 = Address("2001:db8:c::7");
inline const IpAddress kVip4 = Address("192.0.2.80");
inline const IpAddress kVip6 = Address("2001:db8:5::80");
inline const IpAddress kHost4 = Address("192.0.2.10");  // the balancer itself
inline const IpAddress kHost6 = Address("2001:db8:5::10");
inline constexpr uint16_t kClientPort = 40000;

// Real `number` (1..65535), IPv4 and IPv6.
IpAddress Real4(int number);
IpAddress Real6(int number);

// One protocol's header and all that it carries.
struct Segment {
  uint8_t protocol = 0;               // as the layer below announces it (IANA protocol number)
  Bytes bytes;                        //
  std::optional<size_t> checksum_at;  // to be computed by Ip(), which knows the addresses
  bool pseudo_header = true;          // is part of that checksum

  Segment WithChecksum(uint16_t checksum) const;
};

struct TcpHeader {
  uint16_t source = kClientPort;
  uint16_t destination = 80;
  uint8_t flags = 0x02;  // SYN
  Bytes options;         // a multiple of 4
};
Segment Tcp(const TcpHeader& header, std::string_view payload = {});

struct UdpHeader {
  uint16_t source = kClientPort;
  uint16_t destination = 80;
};
Segment Udp(const UdpHeader& header, std::string_view payload = {});

struct IcmpHeader {
  uint8_t type = 8;
  uint8_t code = 0;
  uint16_t id = 0x4711;
  uint16_t sequence = 1;
};
Segment Icmp(const IcmpHeader& header, std::string_view payload = {});   // ICMP for IPv4
Segment Icmp6(const IcmpHeader& header, std::string_view payload = {});  // ICMPv6
inline constexpr uint8_t kEchoRequest6 = 128;
inline constexpr uint8_t kEchoReply6 = 129;

// Anything else.
Segment Opaque(uint8_t protocol, std::string_view payload = {});

// An IPv6 extension header of 8 * `units` bytes in front of `payload`, whose checksum stays 0.
inline constexpr uint8_t kHopByHop = 0;
inline constexpr uint8_t kRouting = 43;
inline constexpr uint8_t kFragment = 44;
inline constexpr uint8_t kDestinationOptions = 60;
Segment Extension(uint8_t protocol, const Segment& payload, size_t units = 1);
// An IPv6 fragment: `offset` in units of 8 bytes.
Segment Fragment6(uint32_t id, uint16_t offset, bool more, const Segment& payload);

// The defaults are those of the headers that the balancer writes itself. The family is that of the
// addresses.
struct IpHeader {
  IpAddress source;
  IpAddress destination;
  uint8_t tos = 0;  // or traffic class
  uint8_t ttl = 64;
  uint16_t id = 0;             // IPv4
  uint16_t fragment = 0x4000;  // IPv4: flags and offset; DF
  Bytes options;               // IPv4: a multiple of 4
  uint32_t flow_label = 0;     // IPv6
  std::optional<uint8_t> version;
  std::optional<uint8_t> header_words;      // IPv4: IHL
  std::optional<uint16_t> length;           // IPv4: total length; IPv6: payload length
  std::optional<uint16_t> header_checksum;  // IPv4
};
// Around TCP, UDP or ICMP, or, as a tunnel's outer header, around another Ip().
Segment Ip(const IpHeader& header, const Segment& payload);

struct EthernetHeader {
  MacAddress source = kRouterMac;
  MacAddress destination = kBalancerMac;
  size_t padding = 0;  // bytes behind the packet, as a driver leaves them in short frames
  std::optional<uint16_t> type;
};
Bytes Ethernet(const EthernetHeader& header, const Segment& packet);

// The frame with VLAN tags, the outer one first: TPID << 16 | TCI.
Bytes Tagged(const Bytes& frame, const std::vector<uint32_t>& tags);

// The frames' first `length` bytes.
Bytes Truncated(const Bytes& frame, size_t length);

// Succeeds when the frames are equal; else shows them side by side, with the lines that differ
// marked.
::testing::AssertionResult SameBytes(const Bytes& expected, const Bytes& actual);

}  // namespace lb::testing
