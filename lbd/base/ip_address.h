// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lbd/base/status.h"

namespace lb {

// An IPv4 or IPv6 address, held as 16 bytes in network order; IPv4 as ::ffff:a.b.c.d (RFC 4291,
// 2.5.5.2). Value type; the default is "::".
class IpAddress {
 public:
  using Bytes = std::array<uint8_t, 16>;

  constexpr IpAddress() = default;
  explicit constexpr IpAddress(const Bytes& bytes) : bytes_(bytes) {}

  // Accepts dotted quad or RFC 4291 text without brackets, zone or prefix length.
  static StatusOr<IpAddress> Parse(std::string_view text);
  // `bytes` is 4 (IPv4) or 16 (IPv6) bytes in network order.
  static StatusOr<IpAddress> FromBytes(std::span<const uint8_t> bytes);

  bool is_v4() const;
  bool is_unspecified() const;  // 0.0.0.0 or ::
  bool is_multicast() const;
  bool is_loopback() const;
  bool is_broadcast() const;  // 255.255.255.255
  // All 16 bytes, IPv4 mapped.
  const Bytes& mapped() const { return bytes_; }
  // The 4 or 16 bytes of the family.
  std::span<const uint8_t> bytes() const;
  // RFC 5952 text.
  std::string ToString() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  Bytes bytes_{};
};

}  // namespace lb
