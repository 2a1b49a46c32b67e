// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/frame.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace lb::health {
namespace {

constexpr size_t kEthernet = 14;
constexpr size_t kIpv4 = 20;
constexpr size_t kIpv6 = 40;
constexpr size_t kTcpHeader = 20;
constexpr size_t kUdpHeader = 8;
constexpr size_t kIcmpHeader = 8;
constexpr size_t kMssOption = 4;
constexpr uint16_t kTypeIpv4 = 0x0800;
constexpr uint16_t kTypeIpv6 = 0x86dd;
constexpr uint16_t kTypeVlan = 0x8100;
constexpr uint16_t kTypeServiceVlan = 0x88a8;
constexpr int kMaxTags = 2;
constexpr uint8_t kIpIp = 4;
constexpr uint8_t kIpv6In = 41;
constexpr uint8_t kGre = 47;
constexpr size_t kGreHeader = 4;
constexpr uint8_t kTtl = 64;
constexpr uint16_t kDontFragment = 0x4000;
constexpr uint16_t kMoreOrOffset = 0x3fff;
constexpr uint8_t kEchoRequest = 8;
constexpr uint8_t kEchoRequest6 = 128;

void Put16(uint8_t* out, uint16_t value) {
  out[0] = value >> 8;
  out[1] = value & 0xff;
}

void Put32(uint8_t* out, uint32_t value) {
  Put16(out, value >> 16);
  Put16(out + 2, value & 0xffff);
}

uint16_t Get16(const uint8_t* bytes) { return bytes[0] << 8 | bytes[1]; }
uint32_t Get32(const uint8_t* bytes) { return uint32_t{Get16(bytes)} << 16 | Get16(bytes + 2); }

// Sum of 16-bit words as they stand in memory (RFC 1071: the byte order does not matter), eight
// bytes at a time.
uint64_t Sum(Bytes bytes, uint64_t sum = 0) {
  while (bytes.size() >= 4) {
    uint32_t word;
    std::memcpy(&word, bytes.data(), sizeof(word));
    sum += word;
    bytes = bytes.subspan(4);
  }
  uint32_t rest = 0;
  if (!bytes.empty()) std::memcpy(&rest, bytes.data(), bytes.size());
  return sum + rest;
}

uint16_t Fold(uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return ~static_cast<uint16_t>(sum);
}

uint64_t PseudoHeaderSum(const IpAddress& source, const IpAddress& destination, uint8_t protocol,
                         size_t length) {
  uint8_t tail[8] = {};
  Put32(tail, length);
  tail[7] = protocol;
  return Sum(tail, Sum(destination.bytes(), Sum(source.bytes())));
}

void PutChecksum(uint8_t* at, uint64_t sum) {
  const uint16_t checksum = Fold(sum);
  std::memcpy(at, &checksum, sizeof(checksum));
}

size_t HeaderSize(const IpAddress& address) { return address.is_v4() ? kIpv4 : kIpv6; }

uint8_t* WriteIp(uint8_t* out, const IpAddress& source, const IpAddress& destination,
                 uint8_t protocol, size_t payload) {
  const size_t size = HeaderSize(source);
  std::memset(out, 0, size);
  if (source.is_v4()) {
    out[0] = 0x45;
    Put16(out + 2, size + payload);
    Put16(out + 6, kDontFragment);
    out[8] = kTtl;
    out[9] = protocol;
    std::ranges::copy(source.bytes(), out + 12);
    std::ranges::copy(destination.bytes(), out + 16);
    PutChecksum(out + 10, Sum({out, size}));
  } else {
    out[0] = 0x60;
    Put16(out + 4, payload);
    out[6] = protocol;
    out[7] = kTtl;
    std::ranges::copy(source.bytes(), out + 8);
    std::ranges::copy(destination.bytes(), out + 24);
  }
  return out + size;
}

// Bytes between the outer and the inner IP header.
size_t ShimSize(const Route::Tunnel& tunnel) {
  if (tunnel.encap == model::Encap::kGue) return kUdpHeader;
  return tunnel.encap == model::Encap::kGre ? kGreHeader : 0;
}

// The outer headers in front of `inner` bytes of IP, as bpf/encap.h writes them.
uint8_t* WriteTunnel(uint8_t* at, const Route::Tunnel& tunnel, bool inner_v4, size_t inner) {
  const bool gue = tunnel.encap == model::Encap::kGue;
  const bool gre = tunnel.encap == model::Encap::kGre;
  const uint8_t protocol = gue ? kUdp : gre ? kGre : inner_v4 ? kIpIp : kIpv6In;
  const size_t shim = ShimSize(tunnel);
  at = WriteIp(at, tunnel.source, tunnel.destination, protocol, shim + inner);
  if (gue) {
    Put16(at, tunnel.source_port);
    Put16(at + 2, tunnel.destination_port);
    Put16(at + 4, shim + inner);
    Put16(at + 6, 0);
  } else if (gre) {
    Put16(at, 0);
    Put16(at + 2, inner_v4 ? kTypeIpv4 : kTypeIpv6);
  }
  return at + shim;
}

// Everything in front of `payload` bytes of `protocol`; null where they would not fit.
uint8_t* WriteHeaders(std::span<uint8_t> out, const Route& route, const Flow& flow,
                      uint8_t protocol, size_t payload) {
  const size_t inner = HeaderSize(flow.source) + payload;
  if (out.size() < route.overhead() + inner) return nullptr;
  uint8_t* at = out.data();
  std::ranges::copy(route.destination.bytes(), at);
  std::ranges::copy(route.source.bytes(), at + 6);
  const bool v4 = route.tunnel ? route.tunnel->source.is_v4() : flow.source.is_v4();
  Put16(at + 12, v4 ? kTypeIpv4 : kTypeIpv6);
  at += kEthernet;
  if (route.tunnel) at = WriteTunnel(at, *route.tunnel, flow.source.is_v4(), inner);
  return WriteIp(at, flow.source, flow.destination, protocol, payload);
}

size_t SizeOf(const Route& route, const Flow& flow, size_t payload) {
  return route.overhead() + HeaderSize(flow.source) + payload;
}

std::optional<IpAddress> AddressAt(Bytes bytes, size_t offset, size_t size) {
  const auto address = IpAddress::FromBytes(bytes.subspan(offset, size));
  return address.ok() ? std::optional(*address) : std::nullopt;
}

std::optional<Packet> ParseIpv4(Bytes bytes, bool quoted) {
  if (bytes.size() < kIpv4 || bytes[0] >> 4 != 4) return std::nullopt;
  const size_t header = (bytes[0] & 0xf) * 4u;
  const size_t length = Get16(&bytes[2]);
  if (header < kIpv4 || length < header || bytes.size() < header) return std::nullopt;
  if (length > bytes.size() && !quoted) return std::nullopt;
  // Linux changes the header that it quotes before the checksum is right again.
  if (!quoted && Fold(Sum(bytes.first(header))) != 0) return std::nullopt;
  if ((Get16(&bytes[6]) & kMoreOrOffset) != 0) return std::nullopt;
  return Packet{.source = *AddressAt(bytes, 12, 4),
                .destination = *AddressAt(bytes, 16, 4),
                .protocol = bytes[9],
                .payload = bytes.subspan(header, std::min(length, bytes.size()) - header),
                .complete = length <= bytes.size()};
}

std::optional<Packet> ParseIpv6(Bytes bytes, bool quoted) {
  if (bytes.size() < kIpv6 || bytes[0] >> 4 != 6) return std::nullopt;
  const size_t length = Get16(&bytes[4]);
  if (length > bytes.size() - kIpv6 && !quoted) return std::nullopt;
  return Packet{.source = *AddressAt(bytes, 8, 16),
                .destination = *AddressAt(bytes, 24, 16),
                .protocol = bytes[6],
                .payload = bytes.subspan(kIpv6, std::min(length, bytes.size() - kIpv6)),
                .complete = length <= bytes.size() - kIpv6};
}

bool ChecksumHolds(const Packet& packet) {
  return Fold(Sum(packet.payload, PseudoHeaderSum(packet.source, packet.destination,
                                                  packet.protocol, packet.payload.size()))) == 0;
}

// The MSS option, in which alone a probe is interested. Lengths that lie end the search.
uint16_t FindMss(Bytes options) {
  while (options.size() >= 2) {
    const uint8_t kind = options[0];
    if (kind == 0) return 0;
    if (kind == 1) {
      options = options.subspan(1);
      continue;
    }
    const size_t length = options[1];
    if (length < 2 || length > options.size()) return 0;
    if (kind == 2 && length == kMssOption) return Get16(&options[2]);
    options = options.subspan(length);
  }
  return 0;
}

}  // namespace

size_t Route::overhead() const {
  return kEthernet + (tunnel ? HeaderSize(tunnel->source) + ShimSize(*tunnel) : 0);
}

size_t WriteTcp(std::span<uint8_t> out, const Route& route, const Flow& flow,
                const TcpHeader& header, Bytes payload) {
  const size_t header_size = kTcpHeader + (header.mss != 0 ? kMssOption : 0);
  const size_t size = header_size + payload.size();
  uint8_t* const tcp = WriteHeaders(out, route, flow, kTcp, size);
  if (tcp == nullptr) return 0;
  std::memset(tcp, 0, header_size);
  Put16(tcp, flow.source_port);
  Put16(tcp + 2, flow.destination_port);
  Put32(tcp + 4, header.seq);
  Put32(tcp + 8, header.ack);
  tcp[12] = (header_size / 4) << 4;
  tcp[13] = header.flags;
  Put16(tcp + 14, header.window);
  if (header.mss != 0) {
    tcp[kTcpHeader] = 2;
    tcp[kTcpHeader + 1] = kMssOption;
    Put16(tcp + kTcpHeader + 2, header.mss);
  }
  std::ranges::copy(payload, tcp + header_size);
  PutChecksum(tcp + 16,
              Sum({tcp, size}, PseudoHeaderSum(flow.source, flow.destination, kTcp, size)));
  return SizeOf(route, flow, size);
}

size_t WriteUdp(std::span<uint8_t> out, const Route& route, const Flow& flow, Bytes payload) {
  const size_t size = kUdpHeader + payload.size();
  uint8_t* const udp = WriteHeaders(out, route, flow, kUdp, size);
  if (udp == nullptr) return 0;
  Put16(udp, flow.source_port);
  Put16(udp + 2, flow.destination_port);
  Put16(udp + 4, size);
  Put16(udp + 6, 0);
  std::ranges::copy(payload, udp + kUdpHeader);
  PutChecksum(udp + 6,
              Sum({udp, size}, PseudoHeaderSum(flow.source, flow.destination, kUdp, size)));
  if (Get16(udp + 6) == 0) Put16(udp + 6, 0xffff);  // 0 would say that there is none
  return SizeOf(route, flow, size);
}

size_t WriteEchoRequest(std::span<uint8_t> out, const Route& route, const Flow& flow, uint16_t id,
                        uint16_t sequence, Bytes payload) {
  const bool v4 = flow.source.is_v4();
  const size_t size = kIcmpHeader + payload.size();
  uint8_t* const icmp = WriteHeaders(out, route, flow, v4 ? kIcmp : kIcmp6, size);
  if (icmp == nullptr) return 0;
  icmp[0] = v4 ? kEchoRequest : kEchoRequest6;
  icmp[1] = 0;
  Put16(icmp + 2, 0);
  Put16(icmp + 4, id);
  Put16(icmp + 6, sequence);
  std::ranges::copy(payload, icmp + kIcmpHeader);
  const uint64_t pseudo = v4 ? 0 : PseudoHeaderSum(flow.source, flow.destination, kIcmp6, size);
  PutChecksum(icmp + 2, Sum({icmp, size}, pseudo));
  return SizeOf(route, flow, size);
}

std::optional<Packet> ParseFrame(Bytes frame) {
  if (frame.size() < kEthernet) return std::nullopt;
  size_t at = kEthernet - 2;
  uint16_t type = Get16(&frame[at]);
  at += 2;
  for (int tags = 0; type == kTypeVlan || type == kTypeServiceVlan; ++tags) {
    if (tags == kMaxTags || frame.size() < at + 4) return std::nullopt;
    type = Get16(&frame[at + 2]);
    at += 4;
  }
  if (type == kTypeIpv4) return ParseIpv4(frame.subspan(at), false);
  if (type == kTypeIpv6) return ParseIpv6(frame.subspan(at), false);
  return std::nullopt;
}

std::optional<Packet> ParseQuoted(Bytes bytes, bool v4) {
  return v4 ? ParseIpv4(bytes, true) : ParseIpv6(bytes, true);
}

std::optional<Packet> ParseInner(const Packet& outer, uint16_t gue_port) {
  const Bytes bytes = outer.payload;
  switch (outer.protocol) {
    case kIpIp:
    case kIpv6In:
      return ParseQuoted(bytes, outer.protocol == kIpIp);
    case kGre:
      if (bytes.size() < kGreHeader || Get16(&bytes[0]) != 0) return std::nullopt;
      return ParseQuoted(bytes.subspan(kGreHeader), Get16(&bytes[2]) == kTypeIpv4);
    case kUdp:
      if (bytes.size() <= kUdpHeader || Get16(&bytes[2]) != gue_port) return std::nullopt;
      return ParseQuoted(bytes.subspan(kUdpHeader), bytes[kUdpHeader] >> 4 == 4);
    default:
      return std::nullopt;
  }
}

std::optional<TcpSegment> ParseTcp(const Packet& packet) {
  const Bytes bytes = packet.payload;
  if (packet.protocol != kTcp || bytes.size() < kTcpHeader) return std::nullopt;
  const size_t header_size = (bytes[12] >> 4) * 4u;
  if (header_size < kTcpHeader || header_size > bytes.size() || !ChecksumHolds(packet)) {
    return std::nullopt;
  }
  return TcpSegment{.source_port = Get16(&bytes[0]),
                    .destination_port = Get16(&bytes[2]),
                    .header = {.seq = Get32(&bytes[4]),
                               .ack = Get32(&bytes[8]),
                               .flags = bytes[13],
                               .window = Get16(&bytes[14]),
                               .mss = FindMss(bytes.subspan(kTcpHeader, header_size - kTcpHeader))},
                    .payload = bytes.subspan(header_size)};
}

std::optional<UdpDatagram> ParseUdp(const Packet& packet) {
  const Bytes bytes = packet.payload;
  if (packet.protocol != kUdp || bytes.size() < kUdpHeader) return std::nullopt;
  const size_t length = Get16(&bytes[4]);
  if (length < kUdpHeader || length > bytes.size()) return std::nullopt;
  const bool unchecked = packet.source.is_v4() && Get16(&bytes[6]) == 0;
  if (!unchecked && !ChecksumHolds(packet)) return std::nullopt;
  return UdpDatagram{.source_port = Get16(&bytes[0]),
                     .destination_port = Get16(&bytes[2]),
                     .payload = bytes.subspan(kUdpHeader, length - kUdpHeader)};
}

std::optional<IcmpMessage> ParseIcmp(const Packet& packet) {
  const Bytes bytes = packet.payload;
  const bool v4 = packet.source.is_v4();
  if (packet.protocol != (v4 ? kIcmp : kIcmp6) || bytes.size() < kIcmpHeader) return std::nullopt;
  if (v4 ? Fold(Sum(bytes)) != 0 : !ChecksumHolds(packet)) return std::nullopt;
  return IcmpMessage{.type = bytes[0],
                     .code = bytes[1],
                     .id = Get16(&bytes[4]),
                     .sequence = Get16(&bytes[6]),
                     .payload = bytes.subspan(kIcmpHeader)};
}

}  // namespace lb::health
