// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "lbd/base/ip_address.h"
#include "lbd/base/status.h"

namespace lb {

// A CIDR prefix; the bits behind the prefix length are zero. Value type.
class IpPrefix {
 public:
  IpPrefix() = default;
  // `length` is 0..32 or 0..128; bits of `address` behind it are cleared.
  IpPrefix(const IpAddress& address, int length);

  // "192.0.2.0/24", "2001:db8::/64"; without a length the whole address. Rejects set host bits.
  static StatusOr<IpPrefix> Parse(std::string_view text);

  const IpAddress& address() const { return address_; }
  int length() const { return length_; }  // 0..32 or 0..128
  bool is_v4() const { return address_.is_v4(); }
  bool Contains(const IpAddress& address) const;
  // Whether every address of `other` is one of this.
  bool Contains(const IpPrefix& other) const;
  IpAddress last() const;  // the highest address
  std::string ToString() const;

  auto operator<=>(const IpPrefix&) const = default;

 private:
  IpAddress address_;
  int length_ = 128;
};

}  // namespace lb
