// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "lbd/model/config.h"

namespace lb::model {

inline IpAddress Ip(std::string_view text) { return IpAddress::Parse(text).value(); }
inline VipKey Key(std::string_view text) { return VipKey::Parse(text).value(); }

inline Vip VipOf(std::string_view key, const std::vector<std::string_view>& reals = {}) {
  Vip vip{.key = Key(key)};
  for (const std::string_view real : reals) vip.reals.push_back({.address = Ip(real)});
  return vip;
}

inline Config ConfigOf(std::vector<Vip> vips) {
  Config config;
  config.vips = std::move(vips);
  return config;
}

}  // namespace lb::model
