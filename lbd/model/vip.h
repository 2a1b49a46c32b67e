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

struct Vip {
  VipKey key;
  std::string name;  // a label for people; may be empty
  RingOptions ring;
  std::vector<Real> reals;  // no address twice

  const Real* FindReal(const IpAddress& address) const;
  bool operator==(const Vip&) const = default;
};

// The size of the ring of `vip`: its configured bits, or at least 256 slots per real: 14 bits up to
// 64 reals, 16 up to 256, 18 up to 1024, then 20.
int RingBits(const Vip& vip);

}  // namespace lb::model
