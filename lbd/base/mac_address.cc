// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/mac_address.h"

#include <fmt/format.h>

#include <charconv>

namespace lb {

StatusOr<MacAddress> MacAddress::Parse(std::string_view text) {
  Bytes bytes{};
  bool good = text.size() == 17;
  for (size_t i = 0; good && i < bytes.size(); ++i) {
    const char* pair = text.data() + i * 3;
    const auto [end, error] = std::from_chars(pair, pair + 2, bytes[i], 16);
    good = error == std::errc() && end == pair + 2 && (i + 1 == bytes.size() || pair[2] == ':');
  }
  if (!good) {
    return InvalidArgument(
        fmt::format("\"{}\" is not a MAC address such as 02:00:5e:10:00:01", text));
  }
  return MacAddress(bytes);
}

std::string MacAddress::ToString() const { return fmt::format("{:02x}", fmt::join(bytes_, ":")); }

}  // namespace lb
