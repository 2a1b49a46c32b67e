// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/base/ip_prefix.h"
#include "lbd/base/status.h"
#include "lbd/model/check.h"
#include "lbd/model/real.h"
#include "lbd/model/route_by_id.h"
#include "lbd/model/source_policy.h"
#include "lbd/model/source_route.h"

namespace lb::model {

// The transport protocols that can be balanced; the values are IANA protocol numbers, but for
// kTcpUdp: both, as one VIP.
enum class Protocol : uint8_t { kTcp = 6, kUdp = 17, kTcpUdp = 255 };

std::string_view ToString(Protocol protocol);  // "tcp", "udp", "tcp_udp"

// What identifies a VIP: one address or a prefix, one port, a range or every port. Of several VIPs
// that a packet belongs to, the one of the longest prefix gets it, and of these the one of its very
// port, then of a range, then of every port.
struct VipKey {
  IpAddress address;  // of a prefix: the first
  uint16_t port = 0;  // of a range: the first; 0: every port
  Protocol protocol = Protocol::kTcp;
  uint16_t last_port = 0;  // of a range; 0: it is none
  uint8_t host_bits = 0;   // of a prefix: how many of the last bits vary; 8 for an IPv4 /24
  uint16_t route = 0;      // of the reals of a source route: its number; else 0

  // "192.0.2.1:80/tcp", "[2001:db8::1]:443/udp", "192.0.2.1:any/tcp", "192.0.2.1:8000-8100/tcp",
  // "192.0.2.0/24:443/tcp_udp", "[2001:db8::/64]:443/tcp".
  static StatusOr<VipKey> Parse(std::string_view text);
  std::string ToString() const;

  bool is_range() const { return last_port != 0; }
  bool is_prefix() const { return host_bits != 0; }
  IpPrefix prefix() const;
  void SetPrefix(const IpPrefix& prefix);
  // The ports that it serves, first and last.
  std::pair<uint16_t, uint16_t> ports() const;
  bool Serves(Protocol one) const { return protocol == one || protocol == Protocol::kTcpUdp; }

  auto operator<=>(const VipKey&) const = default;
};

enum class RingScheme : uint8_t { kRendezvous, kMaglev };

std::string_view ToString(RingScheme scheme);  // "rendezvous", "maglev"

// How the consistent-hash table of a VIP is built.
struct RingOptions {
  RingScheme scheme = RingScheme::kRendezvous;
  int bits = 0;  // 2^bits slots, 8..20; 0 = chosen from the number of reals

  bool operator==(const RingOptions&) const = default;
};

// Which flows are remembered, so that a change of the reals does not break their connections.
enum class Tracking : uint8_t {
  kAuto,    // those on slots that are changing hands
  kAlways,  // all
  kNone,    // none: a change breaks the connections that it moves
};

std::string_view ToString(Tracking tracking);  // "auto", "always", "none"

// Which fields of a packet choose the real of a flow.
enum class HashPolicy : uint8_t {
  kFiveTuple,              // addresses and ports: flows of a client spread over all reals
  kSource,                 // source address: a client stays with a real (session affinity)
  kSourceDestinationPort,  // source address and destination port: likewise, service by service
  kDestinationPort,        // destination port: each service of a VIP of many ports has its real
};

std::string_view ToString(HashPolicy policy);  // "five_tuple", "source", ...

// Empty: the default, which depends on the protocol.
struct FlowOptions {
  std::optional<uint32_t> window;   // seconds until a change is final, 1..86400
  std::optional<uint32_t> idle;     // seconds without a packet until a flow is forgotten, 35..4200
  std::optional<uint32_t> entries;  // flows to have room for, 64..2^25; a power of two is used

  bool operator==(const FlowOptions&) const = default;
};

// Where IP fragments go.
enum class Fragments : uint8_t {
  kFollow,     // later ones follow the first one, which has to come first
  kByAddress,  // all by the client's address alone, in any order
};

std::string_view ToString(Fragments fragments);  // "follow", "by_address"

struct Vip {
  VipKey key;
  std::string name;  // a label for people; may be empty
  RingOptions ring;
  HashPolicy hash = HashPolicy::kFiveTuple;
  Tracking tracking = Tracking::kAuto;
  FlowOptions flows;
  RouteById route_by_id;
  SourcePolicy sources;
  Fragments fragments = Fragments::kFollow;
  uint32_t slow_start = 0;          // seconds in which a real that comes back gets its full weight
  std::vector<HealthCheck> checks;  // a real is up while all of them succeed; empty: always
  HealthPolicy health;
  std::vector<Real> reals;  // no address twice
  std::vector<SourceRoute> source_routes;

  const Real* FindReal(const IpAddress& address) const;
  // Its own and those of its source routes, each address once.
  std::vector<Real> AllReals() const;
  bool operator==(const Vip&) const = default;
};

// The number of a source route: of its name, so that it stays when others come and go. 1..65535.
uint16_t RouteNumber(std::string_view name);
// The reals of a source route, as the VIP that they are for the data plane.
Vip RouteVip(const Vip& vip, const SourceRoute& route);

// Where probes of `check` go. Of a prefix, unless the check says otherwise, the second address:
// hosts may take the first for a broadcast or for any router (RFC 4291, 2.6.1).
IpAddress ProbedAddress(const VipKey& key, const HealthCheck& check);
uint16_t ProbedPort(const VipKey& key, const HealthCheck& check);  // 0: the check has none

// The size of the ring of `vip`: its configured bits, or at least 256 slots per real, 14..20: 14 up
// to 64 reals, 15 up to 128, 16 up to 256 and so on.
int RingBits(const Vip& vip);

}  // namespace lb::model
