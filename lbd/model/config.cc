// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/config.h"

#include <algorithm>

namespace lb::model {
namespace {

// Public on purpose: load balancers without a configured secret still agree with each other.
constexpr HashKey kDefaultHashKey = {0x6c62642064656661, 0x756c74206b657921};

}  // namespace

std::string_view ToString(XdpMode mode) {
  switch (mode) {
    case XdpMode::kNative:
      return "native";
    case XdpMode::kGeneric:
      return "generic";
    case XdpMode::kAuto:
      return "auto";
  }
  return "?";
}

std::string_view ToString(AttachMode mode) {
  switch (mode) {
    case AttachMode::kDirect:
      return "direct";
    case AttachMode::kDispatcher:
      return "dispatcher";
    case AttachMode::kChained:
      return "chained";
  }
  return "?";
}

std::string Chain::PathFor(std::string_view interface) const {
  const size_t at = map.find(kInterface);
  return at == std::string::npos ? map : std::string(map).replace(at, kInterface.size(), interface);
}

std::string_view ToString(FlowHash hash) {
  switch (hash) {
    case FlowHash::kSipHash:
      return "siphash";
    case FlowHash::kFast:
      return "fast";
  }
  return "?";
}

Settings::Settings()
    : outer_source_v4(*IpPrefix::Parse("172.16.0.0/16")),
      outer_source_v6(*IpPrefix::Parse("100::/64")),
      hash_key(kDefaultHashKey) {}

bool Settings::has_default_hash_key() const { return hash_key == kDefaultHashKey; }

const Vip* Config::FindVip(const VipKey& key) const {
  const auto it = std::ranges::find(vips, key, &Vip::key);
  return it == vips.end() ? nullptr : &*it;
}

Vip* Config::FindVip(const VipKey& key) {
  const auto it = std::ranges::find(vips, key, &Vip::key);
  return it == vips.end() ? nullptr : &*it;
}

size_t Config::CountReals() const {
  size_t count = 0;
  for (const Vip& vip : vips) {
    count += vip.reals.size();
    for (const SourceRoute& route : vip.source_routes)
      count += vip.reals.size() + route.reals.size();
  }
  return count;
}

bool Config::probing() const {
  return probes.mode == HealthMode::kAfXdp &&
         std::ranges::any_of(vips, [](const Vip& vip) { return !vip.checks.empty(); });
}

}  // namespace lb::model
