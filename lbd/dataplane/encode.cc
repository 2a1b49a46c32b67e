// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/encode.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace lb::dataplane {
namespace {

static_assert(std::endian::native == std::endian::little, "the flow hash is little-endian");

constexpr uint8_t kIpIp = 4;
constexpr uint8_t kIpV6 = 41;
constexpr uint8_t kTtl = 64;
constexpr uint16_t kDontFragment = 0x4000;

void CopyAddress(const IpAddress& address, __u32 (&out)[4]) {
  std::memcpy(out, address.mapped().data(), sizeof(out));
}

// The last 32 bits of an address, in network order.
uint32_t LastWord(const IpAddress& address) {
  uint32_t word;
  std::memcpy(&word, address.mapped().data() + 12, sizeof(word));
  return word;
}

// Of the last 32 bits, those behind the prefix length; in network order.
uint32_t HashMask(const IpPrefix& prefix) {
  const int host_bits = std::min((prefix.is_v4() ? 32 : 128) - prefix.length(), 32);
  return htonl(host_bits == 32 ? 0xffffffff : (1u << host_bits) - 1);
}

uint32_t SumOfWord(uint32_t word_be) { return (word_be & 0xffff) + (word_be >> 16); }

// Sum of the 16-bit words of an outer IPv4 header that do not depend on the packet: all but TOS,
// total length, hash bits of the source, and the checksum itself. 16-bit words as they stand in
// memory.
uint32_t ConstantSum(const IpAddress& destination, bool vip_is_v4, const IpPrefix& source) {
  const uint32_t version = htons(0x4500);
  const uint32_t ttl_protocol = htons(kTtl << 8 | (vip_is_v4 ? kIpIp : kIpV6));
  return version + htons(kDontFragment) + ttl_protocol + SumOfWord(LastWord(source.address())) +
         SumOfWord(LastWord(destination));
}

}  // namespace

MapSizes MapSizes::For(const model::Limits& limits, uint32_t cpus, uint32_t features) {
  MapSizes sizes;
  // Every VIP may bring an entry for its address; a quarter full, a free place is always near.
  sizes.vips = std::bit_ceil(limits.vips * 8);
  // Each VIP has one unused entry, and room for some reals more.
  sizes.reals = std::bit_ceil(2 * limits.reals + 2 * limits.vips);
  sizes.ring_slots = std::bit_ceil(limits.ring_slots);
  // All may change at once, and packets on their way still use the old ones.
  sizes.next_hops = std::min<uint32_t>(std::bit_ceil(2 * limits.reals + 1), 1 << 16);
  sizes.flow_buckets = std::bit_ceil(limits.flows) / LB_FLOW_WAYS;
  sizes.cpus = std::bit_ceil(cpus);
  if ((features & (LB_FEATURE_QUIC_IDS | LB_FEATURE_TCP_IDS)) != 0) {
    // The one of every VIP, and as many that go while others come.
    sizes.id_configs = std::min<uint32_t>(std::bit_ceil(2 * limits.vips + 1), 1 << 16);
    sizes.server_id_buckets = std::bit_ceil(limits.reals + limits.vips);
  }
  return sizes;
}

uint32_t FeaturesOf(const model::Vip& vip) {
  uint32_t features = 0;
  if (vip.route_by_id.quic()) features |= LB_FEATURE_QUIC_IDS;
  if (vip.route_by_id.tcp_option) features |= LB_FEATURE_TCP_IDS;
  return features;
}

VipTableKey EncodeKey(const model::VipKey& key) {
  return {key.address, key.port, static_cast<uint8_t>(key.protocol), LB_VIP_USED};
}

VipTableKey AddressKey(const IpAddress& address) {
  return {address, 0, 0, LB_VIP_USED | LB_VIP_ADDRESS};
}

uint64_t EncodePlace(const Place& place) {
  return place.ring_start | uint64_t{place.real_start} << LB_PLACE_REAL_SHIFT |
         static_cast<uint64_t>(place.ring_bits) << LB_PLACE_BITS_SHIFT;
}

Place DecodePlace(uint64_t place) {
  return {.ring_start = static_cast<uint32_t>(place),
          .real_start = static_cast<uint32_t>(place >> LB_PLACE_REAL_SHIFT & LB_PLACE_REAL_MASK),
          .ring_bits = static_cast<int>(place >> LB_PLACE_BITS_SHIFT)};
}

uint64_t EncodeFlowPlace(const FlowPlace& place) {
  if (!place.exists()) return 0;
  return place.start | static_cast<uint64_t>(place.bits) << LB_FLOWS_BITS_SHIFT | LB_FLOWS_USED |
         (place.always ? LB_FLOWS_ALWAYS : 0);
}

FlowPlace DecodeFlowPlace(uint64_t place) {
  if ((place & LB_FLOWS_USED) == 0) return {};
  return {.start = static_cast<uint32_t>(place),
          .bits = static_cast<int>(place >> LB_FLOWS_BITS_SHIFT & LB_FLOWS_BITS_MASK),
          .always = (place & LB_FLOWS_ALWAYS) != 0};
}

IpAddress DecodeAddress(const __u32 (&address)[4]) {
  IpAddress::Bytes bytes;
  std::memcpy(bytes.data(), address, bytes.size());
  return IpAddress(bytes);
}

std::optional<model::VipKey> DecodeKey(const lb_vip& entry) {
  if ((entry.flags & LB_VIP_USED) == 0 || (entry.flags & LB_VIP_ADDRESS) != 0) return std::nullopt;
  return model::VipKey{.address = DecodeAddress(entry.address),
                       .port = ntohs(entry.port_be),
                       .protocol = static_cast<model::Protocol>(entry.protocol)};
}

lb_vip EncodeVip(const VipTableKey& key, const HashKey& flow_key, uint64_t place, uint64_t flows) {
  lb_vip entry{};
  CopyAddress(key.address, entry.address);
  entry.port_be = htons(key.port);
  entry.protocol = key.protocol;
  entry.flags = key.flags;
  entry.place = place;
  entry.flows = flows;
  entry.hash_k0 = flow_key.k0;
  entry.hash_k1 = flow_key.k1;
  return entry;
}

lb_real EncodeReal(const IpAddress& address, bool vip_is_v4, const model::Settings& settings) {
  lb_real entry{};
  CopyAddress(address, entry.address);
  if (address.is_v4()) {
    entry.checksum = ConstantSum(address, vip_is_v4, settings.outer_source_v4);
  } else {
    entry.flags = LB_REAL_V6;
  }
  return entry;
}

lb_next_hop EncodeNextHop(const NextHop& hop) {
  lb_next_hop entry{};
  std::ranges::copy(hop.destination.bytes(), entry.destination);
  std::ranges::copy(hop.source.bytes(), entry.source);
  entry.ifindex = hop.ifindex;
  entry.mtu = hop.mtu;
  return entry;
}

lb_id_config EncodeRouteById(const model::RouteById& route) {
  // A server id begins behind the first byte, but for Katran's version 1: behind two bits.
  constexpr struct {
    int config, skip, width;
  } kKatran[] = {{2, 2, 16}, {3, 2, 16}, {4, 8, 24}, {5, 8, 24}, {6, 8, 32}, {7, 8, 32}};
  lb_id_config config{};
  if (route.quic()) config.sources |= LB_ID_QUIC;
  if (route.tcp_option) config.sources |= LB_ID_TCP_OPTION;
  for (size_t i = 0; i < route.quic_lb.size(); ++i) {
    config.skip[i] = 8;
    config.width[i] = 8 * route.quic_lb[i];
  }
  if (route.quic_katran) {
    for (const auto& layout : kKatran) {
      config.skip[layout.config] = layout.skip;
      config.width[layout.config] = layout.width;
    }
  }
  return config;
}

lb_config EncodeConfig(const model::Settings& settings, const MapSizes& sizes,
                       uint64_t vip_hash_key, uint32_t features) {
  lb_config config{};
  config.vip_mask = sizes.vips - 1;
  config.real_mask = sizes.reals - 1;
  config.ring_mask = sizes.ring_slots - 1;
  config.next_hop_mask = sizes.next_hops - 1;
  config.counter_mask = sizes.reals * sizes.cpus - 1;
  config.verdict_mask = LB_VERDICT_SLOTS * sizes.cpus - 1;
  config.cpu_mask = sizes.cpus - 1;
  config.real_bits = std::countr_zero(sizes.reals);
  config.vip_hash_key = vip_hash_key;
  config.source_v4 = LastWord(settings.outer_source_v4.address());
  config.source_v4_hash_mask = HashMask(settings.outer_source_v4);
  CopyAddress(settings.outer_source_v6.address(), config.source_v6);
  config.source_v6_hash_mask = HashMask(settings.outer_source_v6);
  config.flow_mask = sizes.flow_buckets - 1;
  config.abi_version = LB_ABI_VERSION;
  config.stages = LB_STAGE_ECHO | LB_STAGE_VLAN | LB_STAGE_EXTENSIONS;
  config.fast_hash = settings.flow_hash == model::FlowHash::kFast;
  config.features = features;
  config.id_config_mask = sizes.id_configs - 1;
  config.server_id_mask = sizes.server_id_buckets - 1;
  return config;
}

uint32_t VipSlot(uint64_t vip_hash_key, const VipTableKey& key, int choice) {
  __u32 address[4];
  CopyAddress(key.address, address);
  return lb_vip_slot(lb_vip_hash(vip_hash_key, address, htons(key.port), key.protocol), choice);
}

HashKey FlowKey(const HashKey& secret, const model::VipKey& key) {
  std::array<uint8_t, 20> bytes{};
  std::ranges::copy(key.address.mapped(), bytes.begin());
  bytes[16] = key.port >> 8;
  bytes[17] = key.port & 0xff;
  bytes[18] = static_cast<uint8_t>(key.protocol);
  const uint64_t k0 = SipHash24(secret, bytes);
  bytes[19] = 1;
  return {k0, SipHash24(secret, bytes)};
}

}  // namespace lb::dataplane
