// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/model/config.h"

namespace lb::model {

// Makes `config` the whole configuration. Without `hash_key` the one in force stays, whatever
// `config` has.
struct ReplaceConfig {
  Config config;
  std::optional<HashKey> hash_key;
};

struct AddVip {
  Vip vip;
};

// Changes the parts of a VIP that are given.
struct UpdateVip {
  VipKey key;
  std::optional<std::string> name;
  std::optional<RingScheme> ring_scheme;
  std::optional<int> ring_bits;
  std::optional<HashPolicy> hash;
  std::optional<Tracking> tracking;
  std::optional<FlowOptions> flows;
  std::optional<RouteById> route_by_id;
  std::optional<SourcePolicy> sources;
  std::optional<std::vector<SourceRoute>> source_routes;
  std::optional<Fragments> fragments;
  std::optional<uint32_t> slow_start;
  std::optional<std::vector<HealthCheck>> checks;
  std::optional<uint32_t> min_healthy;
  std::optional<bool> fail_open;
  std::optional<std::vector<Real>> reals;
};

struct DeleteVip {
  VipKey key;
};

struct AddReal {
  VipKey vip;
  Real real;
};

// Changes the parts of a real that are given.
struct UpdateReal {
  VipKey vip;
  IpAddress address;
  std::optional<uint32_t> weight;
  std::optional<uint64_t> server_id;
  std::optional<RealState> state;
  std::optional<Encap> encap;
  // Given together with `state`; empty: no deadline.
  std::optional<uint32_t> drain;
};

struct DeleteReal {
  VipKey vip;
  IpAddress address;
};

using Change =
    std::variant<ReplaceConfig, AddVip, UpdateVip, DeleteVip, AddReal, UpdateReal, DeleteReal>;

// The VIP that `change` is about; null where it is about all of them.
const VipKey* SubjectOf(const Change& change);

// Makes `change` in `config`, unchecked. NOT_FOUND or ALREADY_EXISTS where it cannot be made:
// `config` is as it was then.
Status Make(Config& config, const Change& change);
// What is wrong with `config` after `change`; INVALID_ARGUMENT names it as who asked for that
// change knows it. `touched`: the only VIPs that changed since the whole was good; empty: any may
// have.
Status Check(const Config& config, const Change& change,
             const std::optional<std::set<VipKey>>& touched = {});

// `config` with `change` made, which is checked as a whole. NOT_FOUND, ALREADY_EXISTS or
// INVALID_ARGUMENT where it cannot be made.
StatusOr<Config> Apply(const Config& config, const Change& change);

}  // namespace lb::model
