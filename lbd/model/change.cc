// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/change.h"

#include <fmt/format.h>

#include <algorithm>

#include "lbd/model/validate.h"

namespace lb::model {
namespace {

// Makes one kind of change in a copy of the configuration.
class Applier {
 public:
  explicit Applier(Config& config) : config_(config) {}

  Status operator()(const ReplaceConfig& change) {
    const HashKey kept = config_.settings.hash_key;
    config_ = change.config;
    config_.settings.hash_key = change.hash_key.value_or(kept);
    return OkStatus();
  }

  Status operator()(const AddVip& change) {
    if (config_.FindVip(change.vip.key) != nullptr) {
      return AlreadyExists(fmt::format("VIP {} exists", change.vip.key.ToString()));
    }
    config_.vips.push_back(change.vip);
    return OkStatus();
  }

  Status operator()(const UpdateVip& change) {
    LB_ASSIGN_OR_RETURN(Vip* const vip, Find(change.key));
    if (change.name) vip->name = *change.name;
    if (change.ring_scheme) vip->ring.scheme = *change.ring_scheme;
    if (change.ring_bits) vip->ring.bits = *change.ring_bits;
    if (change.hash) vip->hash = *change.hash;
    if (change.tracking) vip->tracking = *change.tracking;
    if (change.flows) vip->flows = *change.flows;
    if (change.route_by_id) vip->route_by_id = *change.route_by_id;
    if (change.source_routes) vip->source_routes = *change.source_routes;
    if (change.sources) vip->sources = *change.sources;
    if (change.fragments) vip->fragments = *change.fragments;
    if (change.slow_start) vip->slow_start = *change.slow_start;
    if (change.checks) vip->checks = *change.checks;
    if (change.min_healthy) vip->health.min_healthy = *change.min_healthy;
    if (change.fail_open) vip->health.fail_open = *change.fail_open;
    if (change.reals) vip->reals = *change.reals;
    return OkStatus();
  }

  Status operator()(const DeleteVip& change) {
    LB_RETURN_IF_ERROR(Find(change.key).status());
    std::erase_if(config_.vips, [&](const Vip& vip) { return vip.key == change.key; });
    return OkStatus();
  }

  Status operator()(const AddReal& change) {
    LB_ASSIGN_OR_RETURN(Vip* const vip, Find(change.vip));
    if (vip->FindReal(change.real.address) != nullptr) {
      return AlreadyExists(fmt::format("VIP {} has the real {}", change.vip.ToString(),
                                       change.real.address.ToString()));
    }
    vip->reals.push_back(change.real);
    return OkStatus();
  }

  Status operator()(const UpdateReal& change) {
    LB_ASSIGN_OR_RETURN(const auto found, FindReal(change.vip, change.address));
    if (change.weight) found->weight = *change.weight;
    if (change.server_id) found->server_id = change.server_id;
    if (change.encap) found->encap = *change.encap;
    if (change.state) {
      found->state = *change.state;
      found->drain = change.drain;
    }
    return OkStatus();
  }

  Status operator()(const DeleteReal& change) {
    LB_ASSIGN_OR_RETURN(const auto found, FindReal(change.vip, change.address));
    config_.FindVip(change.vip)->reals.erase(found);
    return OkStatus();
  }

 private:
  StatusOr<Vip*> Find(const VipKey& key) {
    Vip* const vip = config_.FindVip(key);
    if (vip == nullptr) return NotFound(fmt::format("no VIP {}", key.ToString()));
    return vip;
  }

  StatusOr<std::vector<Real>::iterator> FindReal(const VipKey& key, const IpAddress& address) {
    LB_ASSIGN_OR_RETURN(Vip* const vip, Find(key));
    const auto it = std::ranges::find(vip->reals, address, &Real::address);
    if (it == vip->reals.end()) {
      return NotFound(fmt::format("VIP {} has no real {}", key.ToString(), address.ToString()));
    }
    return it;
  }

  Config& config_;
};

// Whoever changes one VIP does not know its index: "vips[1].name" becomes "192.0.2.1:80/tcp.name".
std::vector<Problem> NameVips(std::vector<Problem> problems, const Config& config) {
  constexpr std::string_view kPrefix = "vips[";
  for (Problem& problem : problems) {
    const size_t end = problem.path.find(']');
    if (!problem.path.starts_with(kPrefix) || end == std::string::npos) continue;
    const size_t index = std::stoul(problem.path.substr(kPrefix.size(), end - kPrefix.size()));
    problem.path.replace(0, end + 1, config.vips.at(index).key.ToString());
  }
  return problems;
}

}  // namespace

const VipKey* SubjectOf(const Change& change) {
  struct Visitor {
    const VipKey* operator()(const ReplaceConfig&) const { return nullptr; }
    const VipKey* operator()(const AddVip& c) const { return &c.vip.key; }
    const VipKey* operator()(const UpdateVip& c) const { return &c.key; }
    const VipKey* operator()(const DeleteVip& c) const { return &c.key; }
    const VipKey* operator()(const AddReal& c) const { return &c.vip; }
    const VipKey* operator()(const UpdateReal& c) const { return &c.vip; }
    const VipKey* operator()(const DeleteReal& c) const { return &c.vip; }
  };
  return std::visit(Visitor(), change);
}

Status Make(Config& config, const Change& change) { return std::visit(Applier(config), change); }

Status Check(const Config& config, const Change& change,
             const std::optional<std::set<VipKey>>& touched) {
  std::vector<Problem> problems = touched ? ValidateChanged(config, *touched) : Validate(config);
  if (!std::holds_alternative<ReplaceConfig>(change)) problems = NameVips(problems, config);
  return ToStatus(problems);
}

StatusOr<Config> Apply(const Config& config, const Change& change) {
  Config result = config;
  LB_RETURN_IF_ERROR(Make(result, change));
  LB_RETURN_IF_ERROR(Check(result, change));
  return result;
}

}  // namespace lb::model
