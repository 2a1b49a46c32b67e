// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/ip_prefix.h"

#include <fmt/format.h>

#include <charconv>

namespace lb {
namespace {

// `address` with every bit behind `length` cleared.
IpAddress Masked(const IpAddress& address, int length) {
  IpAddress::Bytes bytes = address.mapped();
  const int kept = address.is_v4() ? 96 + length : length;
  for (int bit = kept; bit < 128; ++bit) bytes[bit / 8] &= ~(0x80 >> (bit % 8));
  return IpAddress(bytes);
}

}  // namespace

IpPrefix::IpPrefix(const IpAddress& address, int length)
    : address_(Masked(address, length)), length_(length) {}

StatusOr<IpPrefix> IpPrefix::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  auto address = IpAddress::Parse(text.substr(0, slash));
  if (!address.ok()) {
    return InvalidArgument(fmt::format("\"{}\" is not an IPv4 or IPv6 prefix", text));
  }
  const int max = address->is_v4() ? 32 : 128;
  IpPrefix prefix;
  prefix.length_ = max;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    uint8_t length = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    prefix.length_ = length;
    if (error != std::errc() || end != digits.data() + digits.size() || length > max) {
      return InvalidArgument(
          fmt::format("\"{}\": the prefix length must be 0..{}, got \"{}\"", text, max, digits));
    }
  }
  prefix.address_ = Masked(*address, prefix.length_);
  if (prefix.address_ != *address) {
    return InvalidArgument(fmt::format(
        "\"{}\" has bits set behind its prefix length; did you mean {}?", text, prefix.ToString()));
  }
  return prefix;
}

bool IpPrefix::Contains(const IpAddress& address) const {
  return address.is_v4() == is_v4() && Masked(address, length_) == address_;
}

bool IpPrefix::Contains(const IpPrefix& other) const {
  return length_ <= other.length_ && Contains(other.address_);
}

IpAddress IpPrefix::last() const {
  IpAddress::Bytes bytes = address_.mapped();
  for (int bit = is_v4() ? 96 + length_ : length_; bit < 128; ++bit) {
    bytes[bit / 8] |= 0x80 >> (bit % 8);
  }
  return IpAddress(bytes);
}

std::string IpPrefix::ToString() const {
  return fmt::format("{}/{}", address_.ToString(), length_);
}

}  // namespace lb
