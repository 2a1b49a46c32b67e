// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/vip.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>

#include "lbd/model/limits.h"

namespace lb::model {
namespace {

Status BadKey(std::string_view text, std::string_view why) {
  return InvalidArgument(fmt::format(
      "\"{}\": {}; write a VIP as 192.0.2.1:80/tcp, [2001:db8::1]:443/udp or 192.0.2.1:any/tcp",
      text, why));
}

}  // namespace

std::string_view ToString(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kUdp:
      return "udp";
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
  std::string_view rest = text;
  if (const size_t slash = rest.rfind('/'); slash != std::string_view::npos) {
    const std::string_view protocol = rest.substr(slash + 1);
    if (protocol == "udp") {
      key.protocol = Protocol::kUdp;
    } else if (protocol != "tcp") {
      return BadKey(text, fmt::format("the protocol must be tcp or udp, got \"{}\"", protocol));
    }
    rest = rest.substr(0, slash);
  }
  const size_t colon = rest.rfind(':');
  const bool bracketed = rest.starts_with('[');
  if (colon == std::string_view::npos || (bracketed && rest[colon - 1] != ']')) {
    return BadKey(text, "the port is missing");
  }
  std::string_view host = rest.substr(0, colon);
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return BadKey(text, "an IPv6 address needs brackets");
  }
  const auto address = IpAddress::Parse(host);
  if (!address.ok()) return BadKey(text, Message(address.status()));
  key.address = *address;
  const std::string_view port = rest.substr(colon + 1);
  if (port != "any") {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), key.port);
    if (error != std::errc() || end != port.data() + port.size() || key.port == 0) {
      return BadKey(text, fmt::format("the port must be 1..65535 or \"any\", got \"{}\"", port));
    }
  }
  return key;
}

std::string VipKey::ToString() const {
  const std::string host =
      address.is_v4() ? address.ToString() : fmt::format("[{}]", address.ToString());
  const std::string port_text = port == 0 ? "any" : fmt::format("{}", port);
  return fmt::format("{}:{}/{}", host, port_text, model::ToString(protocol));
}

const Real* Vip::FindReal(const IpAddress& address) const {
  const auto it = std::ranges::find(reals, address, &Real::address);
  return it == reals.end() ? nullptr : &*it;
}

int RingBits(const Vip& vip) {
  if (vip.ring.bits != 0) return vip.ring.bits;
  const size_t slots = std::bit_ceil(256 * std::max<size_t>(1, vip.reals.size()));
  return std::clamp(std::countr_zero(slots), 14, kMaxRingBits);
}

}  // namespace lb::model
