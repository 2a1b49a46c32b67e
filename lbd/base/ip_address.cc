// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/ip_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

namespace lb {
namespace {

constexpr std::array<uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

StatusOr<IpAddress> IpAddress::Parse(std::string_view text) {
  const std::string copy(text);
  const bool whole = copy.find('\0') == std::string::npos;  // for inet_pton() the text ends there
  Bytes bytes{};
  if (whole && inet_pton(AF_INET, copy.c_str(), bytes.data() + 12) == 1) {
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin());
    return IpAddress(bytes);
  }
  if (whole && inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1) return IpAddress(bytes);
  return InvalidArgument(fmt::format("\"{}\" is not an IPv4 or IPv6 address", text));
}

StatusOr<IpAddress> IpAddress::FromBytes(std::span<const uint8_t> bytes) {
  Bytes mapped{};
  if (bytes.size() == 4) {
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), mapped.begin());
    std::copy(bytes.begin(), bytes.end(), mapped.begin() + 12);
  } else if (bytes.size() == 16) {
    std::copy(bytes.begin(), bytes.end(), mapped.begin());
  } else {
    return InvalidArgument(fmt::format("an address has 4 or 16 bytes, got {}", bytes.size()));
  }
  return IpAddress(mapped);
}

bool IpAddress::is_v4() const {
  return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin());
}

bool IpAddress::is_unspecified() const {
  return std::ranges::all_of(bytes(), [](uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_multicast() const {
  return is_v4() ? (bytes_[12] & 0xf0) == 0xe0 : bytes_[0] == 0xff;
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[12] == 127;
  return bytes_[15] == 1 &&
         std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_broadcast() const {
  return is_v4() && std::ranges::all_of(bytes(), [](uint8_t byte) { return byte == 0xff; });
}

std::span<const uint8_t> IpAddress::bytes() const {
  return is_v4() ? std::span<const uint8_t>(bytes_).subspan(12) : std::span<const uint8_t>(bytes_);
}

std::string IpAddress::ToString() const {
  char text[INET6_ADDRSTRLEN];
  return is_v4() ? inet_ntop(AF_INET, bytes_.data() + 12, text, sizeof(text))
                 : inet_ntop(AF_INET6, bytes_.data(), text, sizeof(text));
}

}  // namespace lb
