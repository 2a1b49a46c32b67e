// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "lb/abi.h"
#include "lbd/base/siphash.h"
#include "lbd/dataplane/next_hop.h"
#include "lbd/model/config.h"

// The only place where domain types become the structs of lb/abi.h.
namespace lb::dataplane {

// Where the ring and the reals of a VIP are.
struct Place {
  uint32_t ring_start = 0;
  uint32_t real_start = 0;
  int ring_bits = 0;

  bool operator==(const Place&) const = default;
};

// Sizes of the maps; each is a power of two.
struct MapSizes {
  uint32_t vips = 0;
  uint32_t reals = 0;
  uint32_t ring_slots = 0;
  uint32_t next_hops = 0;
  uint32_t flow_buckets = 0;
  uint32_t cpus = 0;
  uint32_t id_configs = 1;
  uint32_t server_id_buckets = 1;
  uint32_t wide_vips = 1;
  uint32_t port_rules = 1;
  uint32_t scopes = 1;  // not rounded
  uint32_t policies = 1;
  uint32_t source_buckets = 1;
  uint32_t source_prefixes = 1;  // not rounded

  // What `features` (LB_FEATURE_*) leaves out takes no room.
  static MapSizes For(const model::Limits& limits, uint32_t cpus, uint32_t features = 0);
};

// What the program needs for this VIP: LB_FEATURE_*.
uint32_t FeaturesOf(const model::Vip& vip);

// What lb_vips is looked up by. Port and protocol 0 with LB_VIP_ADDRESS: the address itself.
struct VipTableKey {
  IpAddress address;
  uint16_t port = 0;
  uint8_t protocol = 0;
  uint8_t flags = 0;

  auto operator<=>(const VipTableKey&) const = default;
};

// What one protocol of a VIP is looked up by; it has one address, and one port or all.
VipTableKey EncodeKey(const model::VipKey& key, model::Protocol protocol);
VipTableKey AddressKey(const IpAddress& address);
// An address of ours where tunnels end.
VipTableKey TunnelKey(const IpAddress& address);

// The part of lb_flows that a VIP has; bits < 0: none.
struct FlowPlace {
  uint32_t start = 0;  // first bucket
  int bits = -1;       // log2 of the buckets
  bool always = false;

  bool exists() const { return bits >= 0; }
  uint32_t size() const { return exists() ? 1u << bits : 0; }
  bool operator==(const FlowPlace&) const = default;
};

// What the program knows of a VIP besides its key.
struct VipEntry {
  HashKey secret;          // of the fleet
  uint16_t options = 0;    // LB_HASH_*
  uint16_t fragments = 0;  // EncodeFragments()
  uint16_t policy = 0;     // number in lb_policies
  uint64_t place = 0;      // of EncodePlace()
  uint64_t flows = 0;      // of EncodeFlowPlace()
};

uint64_t EncodePlace(const Place& place);
Place DecodePlace(uint64_t place);
uint64_t EncodeFlowPlace(const FlowPlace& place);
FlowPlace DecodeFlowPlace(uint64_t place);
// The VIP whose entry this is, be it in lb_vips or lb_wide_vips; empty for all others.
std::optional<model::VipKey> DecodeKey(const lb_vip& entry);
// An address of a BPF map.
IpAddress DecodeAddress(const __u32 (&address)[4]);
// The entry for one protocol of a VIP, and that for an address.
lb_vip EncodeVip(const model::VipKey& key, model::Protocol protocol, const VipEntry& entry);
lb_vip EncodeVipAddress(const IpAddress& address);
lb_vip EncodeTunnel(const IpAddress& address);
uint16_t EncodeHashPolicy(const model::Vip& vip);
// Of lb_vip.options, where fragments go.
uint16_t EncodeFragments(const model::Vip& vip);
// The entry of `address` in a VIP of the given family; not yet with a next hop.
lb_real EncodeReal(const model::Real& real, bool vip_is_v4, const model::Settings& settings);
// How packets get to the real of an entry.
model::Encap DecodeEncap(const lb_real& entry);
lb_next_hop EncodeNextHop(const NextHop& hop);
// Where packets carry their server id; not yet where the reals of these ids are found.
lb_id_config EncodeRouteById(const model::RouteById& route);
lb_config EncodeConfig(const model::Settings& settings, const MapSizes& sizes,
                       uint64_t vip_hash_key, uint32_t features = 0);
lb_policy EncodePolicy(const model::SourcePolicy& policy);
lb_source_key EncodeSource(uint32_t policy, const IpPrefix& prefix);
lb_scope_key EncodeScope(const IpPrefix& prefix, uint8_t protocol);

// Where `key` may be in lb_vips, before masking.
uint32_t VipSlot(uint64_t vip_hash_key, const VipTableKey& key, int choice);

// The key of a VIP's flow hash: derived from the fleet's secret and the VIP, the same everywhere.
HashKey FlowKey(const HashKey& secret, const model::VipKey& key);
// The same for packets of one protocol: where only ports tell flows of TCP from those of UDP, these
// are hashed differently; else one client has one real by both.
HashKey FlowKey(const HashKey& secret, const model::VipKey& key, model::Protocol protocol,
                uint16_t options);

}  // namespace lb::dataplane
