// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lbd/base/ip_prefix.h"
#include "lbd/base/mac_address.h"
#include "lbd/base/siphash.h"
#include "lbd/model/check.h"
#include "lbd/model/limits.h"
#include "lbd/model/vip.h"

namespace lb::model {

enum class XdpMode : uint8_t {
  kNative,   // in the driver, or fail
  kGeneric,  // in the kernel's generic hook (any device, slower)
  kAuto,     // native, falling back to generic
};

std::string_view ToString(XdpMode mode);  // "native", "generic", "auto"

// How the program comes to the packets of an interface.
enum class AttachMode : uint8_t {
  kDirect,      // by a link of its own; no other XDP program may be there
  kDispatcher,  // libxdp's dispatcher calls it, and others, by their priority
  kChained,     // a root program, which belongs to someone else, calls it by a program array
};

std::string_view ToString(AttachMode mode);  // "direct", "dispatcher", "chained"

// Programs of a dispatcher run in the order of their priority; that of libxdp by default.
constexpr uint32_t kDefaultPriority = 50;

// Where a root program looks for the programs that it calls.
struct Chain {
  // Where its program array is pinned; kInterface in it stands for the name of the interface.
  std::string map;
  uint32_t position = 0;

  static constexpr std::string_view kInterface = "{interface}";
  std::string PathFor(std::string_view interface) const;
  bool operator==(const Chain&) const = default;
};

enum class FlowHash : uint8_t {
  kSipHash,  // SipHash-1-3: nobody without the key can aim a flow at a real
  kFast,     // keyed multiplications, a few ns less: for clients that are trusted
};

std::string_view ToString(FlowHash hash);  // "siphash", "fast"

// Packets beyond plain TCP and UDP that are balanced.
struct PacketOptions {
  bool vlan = true;             // with up to two VLAN tags
  bool ipv6_extensions = true;  // behind IPv6 extension headers
  // In frames of several buffers (xdp.frags); empty: where the MTU of an interface asks for it.
  std::optional<bool> multi_buffer;

  bool operator==(const PacketOptions&) const = default;
};

struct IcmpOptions {
  bool echo = true;                    // pings to VIPs are answered
  bool errors = true;                  // errors about a flow go to its real
  uint32_t too_big_per_second = 1000;  // "packet too big" to clients at most; 0: none

  bool operator==(const IcmpOptions&) const = default;
};

// Tunnels that end on the load balancer: what is inside is balanced as if it had come plain.
struct DecapOptions {
  std::vector<IpAddress> addresses;  // of this host; empty: none end here
  std::optional<uint16_t> gue_port;  // empty: IPIP only

  bool operator==(const DecapOptions&) const = default;
};

// What holds for every VIP. A change of any of these loads a new program beside the old one and
// switches to it in one step.
struct Settings {
  std::vector<std::string> interfaces;
  XdpMode xdp_mode = XdpMode::kNative;
  AttachMode attach = AttachMode::kDirect;
  Chain chain;                             // used where attach is chained
  uint32_t priority = kDefaultPriority;    // used where attach is dispatcher
  std::optional<MacAddress> next_hop_mac;  // empty: resolved by the kernel's routes and neighbours
  IpPrefix outer_source_v4;                // host bits are filled with the flow hash
  IpPrefix outer_source_v6;
  uint16_t gue_port = 6080;  // UDP port of reals with encap gue
  FlowHash flow_hash = FlowHash::kSipHash;
  PacketOptions packets;
  IcmpOptions icmp;
  DecapOptions decap;
  HashKey hash_key;  // secret of the flow hash; the same on every load balancer of a fleet
  Limits limits;

  Settings();
  // True while the flow hash runs with the public key that everybody knows.
  bool has_default_hash_key() const;
  bool operator==(const Settings&) const = default;
};

// The whole desired state of one load balancer. A value.
struct Config {
  Settings settings;
  ProbeSettings probes;
  std::vector<Vip> vips;  // no key twice

  const Vip* FindVip(const VipKey& key) const;
  Vip* FindVip(const VipKey& key);
  size_t CountReals() const;  // VIP x real pairs
  bool probing() const;       // whether any real is checked
  bool operator==(const Config&) const = default;
};

}  // namespace lb::model
