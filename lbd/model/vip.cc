// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/vip.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <set>
#include <span>

#include "lbd/base/siphash.h"
#include "lbd/model/limits.h"

namespace lb::model {
namespace {

Status BadKey(std::string_view text, std::string_view why) {
  return InvalidArgument(fmt::format(
      "\"{}\": {}; write a VIP as 192.0.2.1:80/tcp, [2001:db8::1]:443/udp, 192.0.2.1:any/tcp, "
      "192.0.2.1:8000-8100/tcp or 192.0.2.0/24:443/tcp_udp",
      text, why));
}

std::optional<Protocol> ParseProtocol(std::string_view text) {
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kTcpUdp}) {
    if (text == ToString(protocol)) return protocol;
  }
  return std::nullopt;
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// "80", "8000-8100" or "any"; false: none of these.
bool ReadPorts(std::string_view text, VipKey& key) {
  if (text == "any") return true;
  const size_t dash = text.find('-');
  const auto first = ParsePort(text.substr(0, dash));
  if (!first) return false;
  key.port = *first;
  if (dash == std::string_view::npos) return true;
  const auto last = ParsePort(text.substr(dash + 1));
  if (!last || *last <= *first) return false;
  key.last_port = *last;
  return true;
}

}  // namespace

std::string_view ToString(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kUdp:
      return "udp";
    case Protocol::kTcpUdp:
      return "tcp_udp";
  }
  return "?";
}

std::string_view ToString(HashPolicy policy) {
  switch (policy) {
    case HashPolicy::kFiveTuple:
      return "five_tuple";
    case HashPolicy::kSource:
      return "source";
    case HashPolicy::kSourceDestinationPort:
      return "source_destination_port";
    case HashPolicy::kDestinationPort:
      return "destination_port";
  }
  return "?";
}

std::string_view ToString(RingScheme scheme) {
  switch (scheme) {
    case RingScheme::kRendezvous:
      return "rendezvous";
    case RingScheme::kMaglev:
      return "maglev";
  }
  return "?";
}

std::string_view ToString(Fragments fragments) {
  switch (fragments) {
    case Fragments::kFollow:
      return "follow";
    case Fragments::kByAddress:
      return "by_address";
  }
  return "?";
}

std::string_view ToString(Tracking tracking) {
  switch (tracking) {
    case Tracking::kAuto:
      return "auto";
    case Tracking::kAlways:
      return "always";
    case Tracking::kNone:
      return "none";
  }
  return "?";
}

std::string_view ToString(RealState state) {
  switch (state) {
    case RealState::kActive:
      return "active";
    case RealState::kDraining:
      return "draining";
    case RealState::kDown:
      return "down";
    case RealState::kStandby:
      return "standby";
  }
  return "?";
}

StatusOr<VipKey> VipKey::Parse(std::string_view text) {
  VipKey key;
  const bool bracketed = text.starts_with('[');
  const size_t colon = bracketed ? text.find("]:") : text.rfind(':');
  if (colon == std::string_view::npos) return BadKey(text, "the port is missing");
  const std::string_view host = bracketed ? text.substr(1, colon - 1) : text.substr(0, colon);
  if (!bracketed && host.find(':') != std::string_view::npos) {
    return BadKey(text, "an IPv6 address needs brackets");
  }
  std::string_view port = text.substr(colon + (bracketed ? 2 : 1));
  if (const size_t slash = port.find('/'); slash != std::string_view::npos) {
    const std::string_view name = port.substr(slash + 1);
    const auto protocol = ParseProtocol(name);
    if (!protocol) {
      return BadKey(text,
                    fmt::format("the protocol must be tcp, udp or tcp_udp, got \"{}\"", name));
    }
    key.protocol = *protocol;
    port = port.substr(0, slash);
  }
  if (!ReadPorts(port, key)) {
    return BadKey(text, fmt::format("the port must be 1..65535, a range such as 8000-8100, or "
                                    "\"any\", got \"{}\"",
                                    port));
  }
  const auto prefix = IpPrefix::Parse(host);
  if (!prefix.ok()) {
    const bool whole = host.find('/') == std::string_view::npos;
    return BadKey(text, Message(whole ? IpAddress::Parse(host).status() : prefix.status()));
  }
  key.SetPrefix(*prefix);
  return key;
}

std::string VipKey::ToString() const {
  std::string host = is_prefix() ? prefix().ToString() : address.ToString();
  if (!address.is_v4()) host = fmt::format("[{}]", host);
  const std::string ports = port == 0    ? "any"
                            : is_range() ? fmt::format("{}-{}", port, last_port)
                                         : fmt::format("{}", port);
  return fmt::format("{}:{}/{}", host, ports, model::ToString(protocol));
}

IpPrefix VipKey::prefix() const { return {address, (address.is_v4() ? 32 : 128) - host_bits}; }

void VipKey::SetPrefix(const IpPrefix& prefix) {
  address = prefix.address();
  host_bits = static_cast<uint8_t>((prefix.is_v4() ? 32 : 128) - prefix.length());
}

std::pair<uint16_t, uint16_t> VipKey::ports() const {
  if (port == 0) return {0, 65535};
  return {port, is_range() ? last_port : port};
}

const Real* Vip::FindReal(const IpAddress& address) const {
  const auto it = std::ranges::find(reals, address, &Real::address);
  return it == reals.end() ? nullptr : &*it;
}

uint16_t RouteNumber(std::string_view name) {
  const std::span bytes(reinterpret_cast<const uint8_t*>(name.data()), name.size());
  return static_cast<uint16_t>(1 + SipHash24({}, bytes) % 65535);
}

Vip RouteVip(const Vip& vip, const SourceRoute& route) {
  Vip group = vip;
  group.key.route = RouteNumber(route.name);
  group.name = route.name;
  group.sources = {};
  group.source_routes = {};
  group.route_by_id = {};
  group.slow_start = 0;
  group.reals = route.reals;
  // The VIP's own take their place, with all that holds for standby reals, connections included.
  for (Real real : vip.reals) {
    const auto same = std::ranges::find(route.reals, real.address, &Real::address);
    if (same != route.reals.end()) continue;
    if (real.state == RealState::kActive) real.state = RealState::kStandby;
    group.reals.push_back(std::move(real));
  }
  return group;
}

std::vector<Real> Vip::AllReals() const {
  std::vector<Real> all = reals;
  std::set<IpAddress> seen;
  if (!source_routes.empty()) {
    for (const Real& real : reals) seen.insert(real.address);
  }
  for (const SourceRoute& route : source_routes) {
    for (const Real& real : route.reals) {
      if (seen.insert(real.address).second) all.push_back(real);
    }
  }
  return all;
}

IpAddress ProbedAddress(const VipKey& key, const HealthCheck& check) {
  if (check.address) return *check.address;
  if (key.host_bits < 2) return key.address;
  IpAddress::Bytes bytes = key.address.mapped();
  bytes.back() |= 1;
  return IpAddress(bytes);
}

uint16_t ProbedPort(const VipKey& key, const HealthCheck& check) {
  if (!HasPort(check.kind)) return 0;
  return check.port != 0 ? check.port : key.port;
}

int RingBits(const Vip& vip) {
  if (vip.ring.bits != 0) return vip.ring.bits;
  const size_t slots = std::bit_ceil(256 * std::max<size_t>(1, vip.reals.size()));
  return std::clamp(std::countr_zero(slots), 14, kMaxRingBits);
}

}  // namespace lb::model
