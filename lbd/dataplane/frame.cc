// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/frame.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <netinet/in.h>

#include <cstring>

namespace lb::dataplane {
namespace {

constexpr size_t kTagLength = 4;
constexpr int kMaxTags = 2, kMaxExtensions = 8;
constexpr uint16_t kOffsetV4 = 0x1fff, kOffsetV6 = 0xfff8;

uint16_t Word(std::span<const uint8_t> bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

bool IsExtension(uint8_t protocol) {
  return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
         protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_FRAGMENT;
}

std::optional<lb_fragment_key> LaterFragmentV4(std::span<const uint8_t> packet) {
  iphdr ip{};
  if (packet.size() < sizeof(ip)) return std::nullopt;
  std::memcpy(&ip, packet.data(), sizeof(ip));
  if ((ntohs(ip.frag_off) & kOffsetV4) == 0) return std::nullopt;
  const uint32_t mapped = htonl(0xffff);
  return lb_fragment_key{.source = {0, 0, mapped, ip.saddr},
                         .destination = {0, 0, mapped, ip.daddr},
                         .id = ip.id,
                         .protocol = ip.protocol};
}

std::optional<lb_fragment_key> LaterFragmentV6(std::span<const uint8_t> packet) {
  ipv6hdr ip{};
  if (packet.size() < sizeof(ip)) return std::nullopt;
  std::memcpy(&ip, packet.data(), sizeof(ip));
  uint8_t protocol = ip.nexthdr;
  size_t at = sizeof(ip);
  for (int i = 0; i < kMaxExtensions && IsExtension(protocol) && at + 8 <= packet.size(); ++i) {
    if (protocol == IPPROTO_FRAGMENT && (Word(packet, at + 2) & kOffsetV6) != 0) {
      lb_fragment_key key{};
      std::memcpy(key.source, &ip.saddr, sizeof(key.source));
      std::memcpy(key.destination, &ip.daddr, sizeof(key.destination));
      std::memcpy(&key.id, &packet[at + 4], sizeof(key.id));
      return key;
    }
    // The fragment header has no length: its second byte is reserved.
    const size_t length = protocol == IPPROTO_FRAGMENT ? 8 : (packet[at + 1] + 1) * 8;
    protocol = packet[at];
    at += length;
  }
  return std::nullopt;
}

}  // namespace

std::optional<size_t> IpOffset(std::span<const uint8_t> frame) {
  size_t at = offsetof(ethhdr, h_proto);
  for (int tags = 0;; ++tags, at += kTagLength) {
    if (at + 2 > frame.size()) return std::nullopt;
    const uint16_t type = Word(frame, at);
    if (type == ETH_P_IP || type == ETH_P_IPV6) return at + 2;
    if ((type != ETH_P_8021Q && type != ETH_P_8021AD) || tags == kMaxTags) return std::nullopt;
  }
}

void PutHopBack(std::span<uint8_t> frame) {
  const auto offset = IpOffset(frame);
  if (!offset) return;
  const auto packet = frame.subspan(*offset);
  if (packet.size() >= sizeof(ipv6hdr) && packet[0] >> 4 == 6) {
    ++packet[offsetof(ipv6hdr, hop_limit)];
    return;
  }
  if (packet.size() < sizeof(iphdr) || packet[0] >> 4 != 4) return;
  const size_t ttl = offsetof(iphdr, ttl), check = offsetof(iphdr, check);
  const uint16_t before = Word(packet, ttl);
  ++packet[ttl];
  // RFC 1624, equation 3.
  uint32_t sum = static_cast<uint16_t>(~Word(packet, check));
  sum += static_cast<uint16_t>(~before) + Word(packet, ttl);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  packet[check] = static_cast<uint8_t>(~sum >> 8);
  packet[check + 1] = static_cast<uint8_t>(~sum);
}

std::optional<lb_fragment_key> LaterFragmentOf(std::span<const uint8_t> frame) {
  const auto offset = IpOffset(frame);
  if (!offset) return std::nullopt;
  const auto packet = frame.subspan(*offset);
  return Word(frame, *offset - 2) == ETH_P_IP ? LaterFragmentV4(packet) : LaterFragmentV6(packet);
}

}  // namespace lb::dataplane
