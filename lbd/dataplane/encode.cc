// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/encode.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <span>
#include <utility>

#include "lbd/dataplane/handover.h"

namespace lb::dataplane {
namespace {

static_assert(std::endian::native == std::endian::little, "the flow hash is little-endian");

constexpr uint8_t kTtl = 64;
constexpr uint16_t kDontFragment = 0x4000;
constexpr uint32_t kNanosPerSecond = 1'000'000'000;

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
uint32_t ConstantSum(const IpAddress& destination, uint8_t protocol, const IpPrefix& source) {
  const uint32_t version = htons(0x4500);
  const uint32_t ttl_protocol = htons(kTtl << 8 | protocol);
  return version + htons(kDontFragment) + ttl_protocol + SumOfWord(LastWord(source.address())) +
         SumOfWord(LastWord(destination));
}

lb_encap EncodeEncap(model::Encap encap) {
  switch (encap) {
    case model::Encap::kIpIp:
      return LB_ENCAP_IPIP;
    case model::Encap::kGue:
      return LB_ENCAP_GUE;
    case model::Encap::kGre:
      return LB_ENCAP_GRE;
    case model::Encap::kL2:
      return LB_ENCAP_L2;
  }
  return LB_ENCAP_IPIP;
}

uint8_t OuterProtocol(model::Encap encap, bool inner_is_v4) {
  if (encap == model::Encap::kGue) return IPPROTO_UDP;
  if (encap == model::Encap::kGre) return IPPROTO_GRE;
  return inner_is_v4 ? IPPROTO_IPIP : IPPROTO_IPV6;
}

uint32_t FeatureOf(model::Encap encap) {
  switch (encap) {
    case model::Encap::kIpIp:
      return 0;
    case model::Encap::kGue:
      return LB_FEATURE_GUE;
    case model::Encap::kGre:
      return LB_FEATURE_GRE;
    case model::Encap::kL2:
      return LB_FEATURE_L2;
  }
  return 0;
}

// LB_STAGE_*
uint32_t EncodeStages(const model::Settings& settings) {
  const std::pair<bool, uint32_t> stages[] = {
      {settings.icmp.echo, LB_STAGE_ECHO},
      {settings.packets.vlan, LB_STAGE_VLAN},
      {settings.packets.ipv6_extensions, LB_STAGE_EXTENSIONS},
      {settings.limits.fragments != 0, LB_STAGE_FRAGMENTS},
      {settings.icmp.errors, LB_STAGE_ERRORS},
      {settings.icmp.too_big_per_second != 0, LB_STAGE_TOO_BIG},
      {!settings.decap.addresses.empty(), LB_STAGE_DECAP},
      {settings.packets.multi_buffer.value_or(false), LB_STAGE_FRAMES},
  };
  uint32_t bits = 0;
  for (const auto& [on, bit] : stages) bits |= on ? bit : 0;
  return bits;
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
  if ((features & LB_FEATURE_SOURCE_ROUTES) != 0) sizes.wide_vips = std::bit_ceil(2 * limits.vips);
  if ((features & LB_FEATURE_WIDE_VIPS) != 0) {
    // Some may go while others come.
    sizes.wide_vips = std::bit_ceil(2 * limits.vips);
    // Two halves, in each of them a few rules for each VIP.
    sizes.port_rules = std::bit_ceil(16 * limits.vips);
    sizes.scopes = 16 * limits.vips;
  }
  if ((features & (LB_FEATURE_SOURCES | LB_FEATURE_SOURCE_ROUTES)) != 0) {
    // Some may go while others come.
    sizes.policies = std::min<uint32_t>(std::bit_ceil(2 * limits.vips + 1), 1 << 16);
    sizes.source_buckets = std::bit_ceil(limits.sources) / LB_RATE_WAYS;
    // As many again go while others come, and routes are there for both protocols.
    sizes.source_prefixes = 4 * limits.source_prefixes;
  }
  return sizes;
}

uint32_t FeaturesOf(const model::Vip& vip) {
  uint32_t features = 0;
  if (vip.key.is_prefix() || vip.key.is_range()) features |= LB_FEATURE_WIDE_VIPS;
  if (EncodeHashPolicy(vip) != 0) features |= LB_FEATURE_HASH_FIELDS;
  if (!vip.source_routes.empty()) features |= LB_FEATURE_SOURCE_ROUTES;
  if (!vip.sources.empty()) features |= LB_FEATURE_SOURCES;
  for (const model::Real& real : vip.reals) features |= FeatureOf(real.encap);
  if (vip.route_by_id.quic()) features |= LB_FEATURE_QUIC_IDS;
  if (vip.route_by_id.tcp_option) features |= LB_FEATURE_TCP_IDS;
  return features;
}

VipTableKey EncodeKey(const model::VipKey& key, model::Protocol protocol) {
  return {key.address, key.port, static_cast<uint8_t>(protocol), LB_VIP_USED};
}

VipTableKey AddressKey(const IpAddress& address) {
  return {address, 0, 0, LB_VIP_USED | LB_VIP_ADDRESS};
}

VipTableKey TunnelKey(const IpAddress& address) {
  return {address, 0, 0, LB_VIP_USED | LB_VIP_TUNNEL};
}

uint16_t EncodeFragments(const model::Vip& vip) {
  return vip.fragments == model::Fragments::kByAddress ? LB_VIP_FRAGMENTS_BY_ADDRESS : 0;
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
  if ((entry.flags & LB_VIP_USED) == 0) return std::nullopt;
  if ((entry.flags & (LB_VIP_ADDRESS | LB_VIP_TUNNEL)) != 0) return std::nullopt;
  return model::VipKey{.address = DecodeAddress(entry.address),
                       .port = ntohs(entry.port_be),
                       .protocol = entry.both_protocols != 0
                                       ? model::Protocol::kTcpUdp
                                       : static_cast<model::Protocol>(entry.protocol),
                       .last_port = ntohs(entry.last_port_be),
                       .host_bits = entry.host_bits,
                       .route = entry.route};
}

lb_vip EncodeVip(const model::VipKey& key, model::Protocol protocol, const VipEntry& entry) {
  lb_vip encoded{};
  CopyAddress(key.address, encoded.address);
  encoded.port_be = htons(key.port);
  encoded.protocol = static_cast<uint8_t>(protocol);
  encoded.flags = LB_VIP_USED;
  encoded.options = entry.options | entry.fragments;
  encoded.policy = entry.policy;
  encoded.place = entry.place;
  encoded.flows = entry.flows;
  const HashKey flow_key = FlowKey(entry.secret, key, protocol, entry.options);
  encoded.hash_k0 = flow_key.k0;
  encoded.hash_k1 = flow_key.k1;
  encoded.last_port_be = htons(key.last_port);
  encoded.host_bits = key.host_bits;
  encoded.route = key.route;
  encoded.both_protocols = key.protocol == model::Protocol::kTcpUdp;
  return encoded;
}

lb_vip EncodeVipAddress(const IpAddress& address) {
  lb_vip encoded{};
  CopyAddress(address, encoded.address);
  encoded.flags = LB_VIP_USED | LB_VIP_ADDRESS;
  return encoded;
}

lb_vip EncodeTunnel(const IpAddress& address) {
  lb_vip encoded = EncodeVipAddress(address);
  encoded.flags = LB_VIP_USED | LB_VIP_TUNNEL;
  return encoded;
}

uint16_t EncodeHashPolicy(const model::Vip& vip) {
  const uint16_t destination = vip.key.is_prefix() ? LB_HASH_DESTINATION : 0;
  switch (vip.hash) {
    case model::HashPolicy::kFiveTuple:
      return destination;
    case model::HashPolicy::kSource:
      return destination | LB_HASH_NO_SOURCE_PORT | LB_HASH_NO_DESTINATION_PORT;
    case model::HashPolicy::kSourceDestinationPort:
      return destination | LB_HASH_NO_SOURCE_PORT;
    case model::HashPolicy::kDestinationPort:
      return destination | LB_HASH_NO_SOURCE | LB_HASH_NO_SOURCE_PORT;
  }
  return 0;
}

lb_real EncodeReal(const model::Real& real, bool vip_is_v4, const model::Settings& settings) {
  lb_real entry{};
  CopyAddress(real.address, entry.address);
  entry.flags = static_cast<uint16_t>(EncodeEncap(real.encap) << LB_REAL_ENCAP_SHIFT);
  if (real.address.is_v4()) {
    entry.checksum =
        ConstantSum(real.address, OuterProtocol(real.encap, vip_is_v4), settings.outer_source_v4);
  } else {
    entry.flags |= LB_REAL_V6;
  }
  return entry;
}

model::Encap DecodeEncap(const lb_real& entry) {
  switch (static_cast<lb_encap>(entry.flags >> LB_REAL_ENCAP_SHIFT & LB_REAL_ENCAP_MASK)) {
    case LB_ENCAP_IPIP:
      return model::Encap::kIpIp;
    case LB_ENCAP_GUE:
      return model::Encap::kGue;
    case LB_ENCAP_GRE:
      return model::Encap::kGre;
    case LB_ENCAP_L2:
      return model::Encap::kL2;
  }
  return model::Encap::kIpIp;
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
  lb_config config{.handover = MakeHandover()};
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
  config.stages = EncodeStages(settings);
  config.fragments = settings.limits.fragments;
  const uint32_t rate = settings.icmp.too_big_per_second;
  config.icmp_interval = rate == 0 ? 0 : kNanosPerSecond / rate;
  config.decap_port_be = htons(settings.decap.gue_port.value_or(0));
  config.fast_hash = settings.flow_hash == model::FlowHash::kFast;
  config.features = features;
  config.id_config_mask = sizes.id_configs - 1;
  config.server_id_mask = sizes.server_id_buckets - 1;
  config.gue_port_be = htons(settings.gue_port);
  config.policy_mask = sizes.policies - 1;
  config.policy_count_mask = sizes.policies * sizes.cpus - 1;
  config.source_bucket_mask = sizes.source_buckets - 1;
  config.wide_vip_mask = sizes.wide_vips - 1;
  config.port_rule_mask = sizes.port_rules - 1;
  return config;
}

lb_policy EncodePolicy(const model::SourcePolicy& policy) {
  // What a bucket needs of a limit, in units of so many nanoseconds.
  const auto encode = [](const model::RateLimit& limit, uint64_t unit, __u64& interval,
                         __u64& tolerance) {
    if (limit.per_second == 0) return;
    interval = std::max<uint64_t>(1, 1'000'000'000 / unit / limit.per_second);
    tolerance = interval * (limit.effective_burst() - 1);
  };
  lb_policy entry{};
  if (!policy.allow.empty()) entry.flags |= LB_POLICY_ALLOW_ONLY;
  if (!policy.allow.empty() || !policy.deny.empty()) entry.flags |= LB_POLICY_LISTS;
  encode(policy.new_flows, 1, entry.interval, entry.tolerance);
  encode(policy.new_flows_per_source, uint64_t{1} << LB_RATE_UNIT_SHIFT, entry.source_interval,
         entry.source_tolerance);
  return entry;
}

lb_source_key EncodeSource(uint32_t policy, const IpPrefix& prefix) {
  lb_source_key key{};
  const int length = prefix.is_v4() ? 96 + prefix.length() : prefix.length();
  key.prefix_length = LB_SOURCE_KEY_BITS - 128 + length;
  key.policy = policy;
  CopyAddress(prefix.address(), key.address);
  return key;
}

lb_scope_key EncodeScope(const IpPrefix& prefix, uint8_t protocol) {
  lb_scope_key key{};
  const int length = prefix.is_v4() ? 96 + prefix.length() : prefix.length();
  key.prefix_length = LB_SCOPE_KEY_BITS - 128 + length;
  key.protocol = protocol;
  CopyAddress(prefix.address(), key.address);
  return key;
}

uint32_t VipSlot(uint64_t vip_hash_key, const VipTableKey& key, int choice) {
  __u32 address[4];
  CopyAddress(key.address, address);
  return lb_vip_slot(lb_vip_hash(vip_hash_key, address, htons(key.port), key.protocol), choice);
}

HashKey FlowKey(const HashKey& secret, const model::VipKey& key) {
  std::array<uint8_t, 23> bytes{};
  std::ranges::copy(key.address.mapped(), bytes.begin());
  bytes[16] = key.port >> 8;
  bytes[17] = key.port & 0xff;
  bytes[18] = static_cast<uint8_t>(key.protocol);
  bytes[20] = key.last_port >> 8;
  bytes[21] = key.last_port & 0xff;
  bytes[22] = key.host_bits;
  const std::span<const uint8_t> name(bytes.data(), key.is_prefix() || key.is_range() ? 23 : 20);
  const uint64_t k0 = SipHash24(secret, name);
  bytes[19] = 1;
  return {k0, SipHash24(secret, name)};
}

HashKey FlowKey(const HashKey& secret, const model::VipKey& key, model::Protocol protocol,
                uint16_t options) {
  const bool ports_only = (options & ~LB_HASH_DESTINATION) == 0;
  if (key.protocol != model::Protocol::kTcpUdp || protocol == model::Protocol::kTcp ||
      !ports_only) {
    return FlowKey(secret, key);
  }
  model::VipKey udp = key;
  udp.protocol = model::Protocol::kUdp;
  return FlowKey(secret, udp);
}

}  // namespace lb::dataplane
