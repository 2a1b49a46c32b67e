// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/flow_packet.h"

#include <fmt/format.h>

#include <algorithm>

namespace lb::dataplane {
namespace {

constexpr uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;
constexpr uint32_t kMaxLength = 3000;
constexpr size_t kEthernet = 14;

void Put16(Frame& frame, size_t at, uint32_t value) {
  frame[at] = static_cast<uint8_t>(value >> 8);
  frame[at + 1] = static_cast<uint8_t>(value);
}

uint64_t Sum(std::span<const uint8_t> bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) sum += uint64_t{bytes[i]} << (i % 2 == 0 ? 8 : 0);
  return sum;
}

uint16_t Fold(uint64_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

uint32_t L4HeaderLength(uint8_t protocol) { return protocol == kTcp ? 20 : 8; }

void PutIpHeader(Frame& frame, const FlowPacket& packet, uint32_t length) {
  const std::span<uint8_t> ip = std::span(frame).subspan(kEthernet);
  if (packet.source.is_v4()) {
    Put16(frame, 12, 0x0800);
    ip[0] = 0x45;
    Put16(frame, kEthernet + 2, length);
    ip[6] = 0x40;  // do not fragment
    ip[8] = 64;
    ip[9] = packet.protocol;
    std::ranges::copy(packet.source.bytes(), ip.begin() + 12);
    std::ranges::copy(packet.destination.bytes(), ip.begin() + 16);
    Put16(frame, kEthernet + 10, Fold(Sum(ip.first(20))));
    return;
  }
  Put16(frame, 12, 0x86dd);
  ip[0] = 0x60;
  Put16(frame, kEthernet + 4, length - 40);
  ip[6] = packet.protocol;
  ip[7] = 64;
  std::ranges::copy(packet.source.bytes(), ip.begin() + 8);
  std::ranges::copy(packet.destination.bytes(), ip.begin() + 24);
}

void PutL4Header(Frame& frame, const FlowPacket& packet, size_t at) {
  const size_t length = frame.size() - at;
  size_t checksum_at = at + 2;
  if (packet.protocol == kTcp || packet.protocol == kUdp) {
    Put16(frame, at, packet.source_port);
    Put16(frame, at + 2, packet.destination_port);
  }
  if (packet.protocol == kTcp) {
    frame[at + 12] = 0x50;
    frame[at + 13] = packet.tcp_flags;
    frame[at + 14] = 0xff;  // a window
    checksum_at = at + 16;
  } else if (packet.protocol == kUdp) {
    Put16(frame, at + 4, length);
    checksum_at = at + 6;
  } else {
    frame[at] = packet.protocol == kIcmp ? 8 : 128;  // echo request
    Put16(frame, at + 4, packet.source_port);        // id
  }
  uint64_t sum = Sum(std::span(frame).subspan(at));
  if (packet.protocol != kIcmp) {  // the pseudo-header
    sum += Sum(packet.source.bytes()) + Sum(packet.destination.bytes()) + packet.protocol + length;
  }
  const uint16_t checksum = Fold(sum);
  Put16(frame, checksum_at, checksum == 0 && packet.protocol == kUdp ? 0xffff : checksum);
}

}  // namespace

StatusOr<Frame> MakeFrame(const FlowPacket& packet) {
  if (packet.source.is_v4() != packet.destination.is_v4()) {
    return InvalidArgument("source and destination must be of the same family");
  }
  const uint32_t header = (packet.source.is_v4() ? 20 : 40) + L4HeaderLength(packet.protocol);
  const uint32_t length = packet.ip_length == 0 ? header : packet.ip_length;
  if (length < header || length > kMaxLength) {
    return InvalidArgument(
        fmt::format("ip_length: must be {}..{}, got {}", header, kMaxLength, length));
  }
  Frame frame(kEthernet + length);
  PutIpHeader(frame, packet, length);
  PutL4Header(frame, packet, kEthernet + header - L4HeaderLength(packet.protocol));
  return frame;
}

}  // namespace lb::dataplane
