// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/find_route.h"

#include <algorithm>

namespace lb::model {

const SourceRoute* FindRoute(const Vip& vip, uint16_t number) {
  if (number == 0) return nullptr;
  const auto it = std::ranges::find(
      vip.source_routes, number, [](const SourceRoute& route) { return RouteNumber(route.name); });
  return it == vip.source_routes.end() ? nullptr : &*it;
}

}  // namespace lb::model
