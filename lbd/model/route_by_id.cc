// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/route_by_id.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

namespace lb::model {

std::string ToString(const RouteById& route) {
  std::vector<std::string> parts;
  for (size_t config = 0; config < route.quic_lb.size(); ++config) {
    if (route.quic_lb[config] == 0) continue;
    parts.push_back(fmt::format("quic_lb {}:{}", config, route.quic_lb[config]));
  }
  if (route.quic_katran) parts.emplace_back("quic_katran");
  if (route.tcp_option) parts.emplace_back("tcp_option");
  return parts.empty() ? "off" : fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace lb::model
