// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/base/status.h"
#include "lbd/model/real.h"
#include "lbd/model/route_by_id.h"

namespace lb::model {

// The transport protocols that can be balanced; the values are IANA protocol numbers.
enum class Protocol : uint8_t { kTcp = 6, kUdp = 17 };

std::string_view ToString(Protocol protocol);  // "tcp", "udp"

// What identifies a VIP. Port 0 stands for every port.
struct VipKey {
  IpAddress address;
  uint16_t port = 0;
  Protocol protocol = Protocol::kTcp;

  // "192.0.2.1:80/tcp", "[2001:db8::1]:443/udp", "192.0.2.1:any/tcp".
  static StatusOr<VipKey> Parse(std::string_view text);
  std::string ToString() const;

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

// Empty: the default, which depends on the protocol.
struct FlowOptions {
  std::optional<uint32_t> window;   // seconds until a change is final, 1..86400
  std::optional<uint32_t> idle;     // seconds without a packet until a flow is forgotten, 35..4200
  std::optional<uint32_t> entries;  // flows to have room for, 64..2^25; a power of two is used

  bool operator==(const FlowOptions&) const = default;
};

struct Vip {
  VipKey key;
  std::string name;  // a label for people; may be empty
  RingOptions ring;
  Tracking tracking = Tracking::kAuto;
  FlowOptions flows;
  RouteById route_by_id;
  uint32_t slow_start = 0;  // seconds in which a real that comes back gets its full weight
  std::vector<Real> reals;  // no address twice

  const Real* FindReal(const IpAddress& address) const;
  bool operator==(const Vip&) const = default;
};

// The size of the ring of `vip`: its configured bits, or at least 256 slots per real, 14..20: 14 up
// to 64 reals, 15 up to 128, 16 up to 256 and so on.
int RingBits(const Vip& vip);

}  // namespace lb::model
