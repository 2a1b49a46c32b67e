// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/port_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <fstream>
#include <sstream>
#include <string>

namespace lb::health {
namespace {

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  return text;
}

}  // namespace

std::optional<PortClash> FindPortClash(uint16_t first, uint16_t last, std::string_view ephemeral,
                                       std::string_view reserved) {
  std::istringstream range{std::string(ephemeral)};
  uint32_t low = 0;
  uint32_t high = 0;
  if (!(range >> low >> high)) return std::nullopt;
  std::bitset<65536> taken;
  for (uint32_t port = std::max<uint32_t>(low, first); port <= std::min<uint32_t>(high, last);
       ++port) {
    taken.set(port);
  }
  std::istringstream parts{std::string(reserved)};
  for (std::string part; std::getline(parts, part, ',');) {
    std::istringstream numbers(part);
    uint32_t begin = 0;
    if (!(numbers >> begin)) continue;
    uint32_t end = begin;
    if (numbers.get() == '-') numbers >> end;
    for (uint32_t port = begin; port <= std::min(end, 65535u); ++port) taken.reset(port);
  }
  if (taken.none()) return std::nullopt;
  return PortClash{
      .problem = fmt::format("the host itself takes source ports {}-{} "
                             "(net.ipv4.ip_local_port_range), which overlap {}-{} of probes.ports",
                             low, high, first, last),
      .fix = fmt::format("sysctl -w net.ipv4.ip_local_reserved_ports={}{}{}-{}", reserved,
                         reserved.empty() ? "" : ",", first, last)};
}

std::optional<PortClash> FindPortClash(uint16_t first, uint16_t last) {
  return FindPortClash(first, last, ReadFile("/proc/sys/net/ipv4/ip_local_port_range"),
                       ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports"));
}

}  // namespace lb::health
