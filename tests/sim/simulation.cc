// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace lb::sim {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr double kSweepSeconds = 5;
// Flows of so long ago may still be open when the warm-up begins.
constexpr double kPast = 4 * 3600;

// Routers hash flows in a way of their own.
uint64_t Rehash(uint64_t hash) {
  hash = (hash ^ (hash >> 31)) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 29);
}

}  // namespace

Simulation::Simulation(const Options& options, int reals, std::vector<Contender> contenders)
    : options_(options),
      traffic_(options.seed),
      killed_(reals, kNever),
      contenders_(std::move(contenders)),
      routed_(contenders_.front().fleet.size(), true) {
  for (int i = 0; i < reals; ++i) {
    const auto address = IpAddress::Parse(fmt::format("10.0.{}.{}", i / 250, i % 250 + 1));
    reals_.push_back({.address = *address, .weight = 100, .usable = true});
  }
  for (const Contender& contender : contenders_) results_.push_back({.contender = contender.name});
}

void Simulation::At(double time, std::function<void()> event) {
  events_.emplace(time, std::move(event));
}

void Simulation::Tell(size_t balancer) {
  for (Contender& contender : contenders_) contender.fleet[balancer]->SetReals(reals_, Clock(now_));
}

void Simulation::SetReals(const std::function<void(Reals&)>& change) {
  change(reals_);
  killed_.resize(reals_.size(), kNever);
  for (size_t i = 0; i < routed_.size(); ++i) {
    if (health_lag_ == 0 || i == 0) {
      Tell(i);
    } else {
      At(now_ + health_lag_ * static_cast<double>(i), [this, i] { Tell(i); });
    }
  }
}

void Simulation::Flood(double per_second) {
  flood_ = per_second;
  next_flood_ = now_;
}

void Simulation::Kill(size_t real) { killed_[real] = now_; }

void Simulation::ForgetFlows() {
  for (Contender& contender : contenders_) {
    for (const auto& balancer : contender.fleet) balancer->ForgetFlows();
  }
}

Balancer& Simulation::Route(Contender& contender, uint64_t flow_hash) {
  if (rehashing_) {
    uint64_t number = Rehash(flow_hash) % std::ranges::count(routed_, true);
    size_t i = 0;
    while (!routed_[i] || number-- > 0) ++i;
    return *contender.fleet[i];
  }
  // Rendezvous over the routed ones: a flow moves only when its own load balancer comes or goes.
  size_t best = 0;
  uint64_t best_score = 0;
  for (size_t i = 0; i < routed_.size(); ++i) {
    const uint64_t score = Rehash(flow_hash + i * 0x632be59bd9b4e019);
    if (routed_[i] && score >= best_score) {
      best = i;
      best_score = score;
    }
  }
  return *contender.fleet[best];
}

void Simulation::StartFlow(double now, double start, const FlowShape& shape) {
  uint32_t index = flows_.size();
  if (free_flows_.empty()) {
    flows_.emplace_back();
  } else {
    index = free_flows_.back();
    free_flows_.pop_back();
  }
  Flow& flow = flows_[index];
  flow = {.hash = traffic_.NextHash(),
          .shape = shape,
          .start = now,
          .end = start + shape.length,
          .real = {}};
  for (Contender& contender : contenders_) {
    flow.real.push_back(Route(contender, flow.hash).Decide(flow.hash, LB_FLOW_OPEN, Clock(now)));
  }
  if (now >= 0) {
    for (Result& result : results_) ++result.flows;
  }
  next_packet_.emplace(std::min(now + traffic_.NextGap(shape), flow.end), index);
}

bool Simulation::Packet(Flow& flow, double now) {
  const bool last = now >= flow.end;
  const lb_flow_event event = last && flow.shape.says_fin ? LB_FLOW_END : LB_FLOW_DATA;
  bool open = false;
  for (size_t i = 0; i < contenders_.size(); ++i) {
    uint16_t& real = flow.real[i];
    if (real == 0) continue;
    if (killed_[real - 1] >= flow.start) {  // died with its real
      real = 0;
      continue;
    }
    if (Route(contenders_[i], flow.hash).Decide(flow.hash, event, Clock(now)) != real) {
      ++results_[i].broken;
      real = 0;
      continue;
    }
    open = true;
  }
  return open && !last;
}

void Simulation::RunEvents(double until) {
  while (!events_.empty() && events_.begin()->first <= until) {
    const auto event = events_.begin();
    now_ = event->first;
    const auto action = std::move(event->second);
    events_.erase(event);
    action();
  }
}

std::vector<Result> Simulation::Run() {
  now_ = -options_.warm_up;
  for (size_t i = 0; i < routed_.size(); ++i) Tell(i);
  for (double start = now_ - kPast; start < now_;
       start += traffic_.NextStart(options_.flows_per_second)) {
    const FlowShape shape = traffic_.NextFlow();
    if (start + shape.length > now_) StartFlow(now_, start, shape);
  }
  double next_start = now_;
  double next_sweep = now_;
  bool warm = false;
  while (now_ < options_.end) {
    const double flood_at = flood_ > 0 ? next_flood_ : options_.end;
    const double packet_at = next_packet_.empty() ? options_.end : next_packet_.begin()->first;
    const double now = std::min({next_start, next_sweep, flood_at, packet_at});
    if (!warm && now >= 0) {
      warm = true;
      for (size_t i = 0; i < contenders_.size(); ++i) {
        if (results_[i].broken > 0) results_[i].contender += " (broken before any change!)";
      }
      for (Contender& contender : contenders_) {
        for (const auto& balancer : contender.fleet) balancer->StartCounting();
      }
      for (Result& result : results_) result.flows = flows_.size() - free_flows_.size();
    }
    RunEvents(now);
    now_ = now;
    if (now == next_sweep) {
      for (Contender& contender : contenders_) {
        for (const auto& balancer : contender.fleet) balancer->Sweep(Clock(now));
      }
      next_sweep += kSweepSeconds;
    } else if (now == next_start) {
      StartFlow(now, now, traffic_.NextFlow());
      next_start += traffic_.NextStart(options_.flows_per_second);
    } else if (now == packet_at) {
      const uint32_t index = next_packet_.begin()->second;
      next_packet_.erase(next_packet_.begin());
      Flow& flow = flows_[index];
      if (Packet(flow, now)) {
        next_packet_.emplace(std::min(now + traffic_.NextGap(flow.shape), flow.end), index);
      } else {
        free_flows_.push_back(index);
      }
    } else {
      const uint64_t hash = traffic_.NextHash();
      for (Contender& contender : contenders_) {
        Route(contender, hash).Decide(hash, LB_FLOW_OPEN, Clock(now));
      }
      next_flood_ = now + traffic_.NextStart(flood_);
    }
  }
  for (size_t i = 0; i < contenders_.size(); ++i) {
    Figures& sum = results_[i].figures;
    for (const auto& balancer : contenders_[i].fleet) {
      const Figures& figures = balancer->figures();
      sum.packets += figures.packets;
      sum.lookups += figures.lookups;
      sum.refused += figures.refused;
      sum.table_peak = std::max(sum.table_peak, figures.table_peak);
    }
  }
  return results_;
}

}  // namespace lb::sim
