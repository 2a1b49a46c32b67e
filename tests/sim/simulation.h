// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/balancer.h"
#include "tests/sim/traffic.h"

namespace lb::sim {

// A way of balancing that is measured: a fleet of like load balancers.
struct Contender {
  std::string name;
  std::vector<std::unique_ptr<Balancer>> fleet;
};

struct Result {
  std::string contender;
  uint64_t flows = 0;   // that sent anything after the warm-up
  uint64_t broken = 0;  // a packet went to another real, though theirs was alive
  Figures figures;      // since the warm-up; the peak is that of one load balancer
};

struct Options {
  double flows_per_second = 200;
  double warm_up = 900;  // seconds before the clock starts at 0, so that tables are what they are
  double end = 1800;
  uint64_t seed = 1;
};

// One world: clients, routers, reals, and several contenders that all see the same packets. Every
// contender has connections of its own: what one breaks goes on in the others.
class Simulation {
 public:
  Simulation(const Options& options, int reals, std::vector<Contender> contenders);

  // Schedules `event` at a time from 0 on.
  void At(double time, std::function<void()> event);

  // What events do. Load balancer i of each fleet sees it i * `health_lag` seconds later.
  void SetReals(const std::function<void(Reals&)>& change);
  // The process of a real dies, and its connections with it.
  void Kill(size_t real);
  // Connection requests from random sources, so many a second; 0 ends them.
  void Flood(double per_second);
  // The routers stop using these load balancers of each fleet (or use them again); the others keep
  // their flows.
  void SetRouted(const std::vector<bool>& routed) { routed_ = routed; }
  // Another machine takes over, which has the configuration but no flows.
  void ForgetFlows();
  // Routers that hash over whatever load balancers there are: each change moves most flows.
  void set_rehashing_routers() { rehashing_ = true; }
  void set_health_lag(double seconds) { health_lag_ = seconds; }

  std::vector<Result> Run();

 private:
  struct Flow {
    uint64_t hash;
    FlowShape shape;
    double start;
    double end;
    std::vector<uint16_t> real;  // per contender; 0 = over, by whatever reason
  };

  // The clock of the load balancers, which starts with the warm-up.
  double Clock(double time) const { return time + options_.warm_up; }
  void StartFlow(double now, double start, const FlowShape& shape);
  // The flow's packet; false when nobody has it any more.
  bool Packet(Flow& flow, double now);
  Balancer& Route(Contender& contender, uint64_t flow_hash);
  void Tell(size_t balancer);
  void RunEvents(double until);

  Options options_;
  Traffic traffic_;
  Reals reals_;
  std::vector<double> killed_;  // when, per real
  std::vector<Contender> contenders_;
  std::vector<Result> results_;
  std::vector<bool> routed_;
  bool rehashing_ = false;
  double health_lag_ = 0;
  double flood_ = 0;
  double next_flood_ = 0;
  double now_ = 0;
  std::vector<Flow> flows_;
  std::vector<uint32_t> free_flows_;
  std::multimap<double, uint32_t> next_packet_;
  std::multimap<double, std::function<void()>> events_;
};

}  // namespace lb::sim
