// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "lbd/base/status.h"

namespace lb {

// An Ethernet (EUI-48) address. Value type.
class MacAddress {
 public:
  using Bytes = std::array<uint8_t, 6>;

  constexpr MacAddress() = default;
  explicit constexpr MacAddress(const Bytes& bytes) : bytes_(bytes) {}

  // Six pairs of hex digits with colons: "02:00:5e:10:00:01".
  static StatusOr<MacAddress> Parse(std::string_view text);

  const Bytes& bytes() const { return bytes_; }
  bool is_zero() const { return bytes_ == Bytes{}; }
  bool is_group() const { return (bytes_[0] & 1) != 0; }  // multicast or broadcast
  std::string ToString() const;

  auto operator<=>(const MacAddress&) const = default;

 private:
  Bytes bytes_{};
};

}  // namespace lb
