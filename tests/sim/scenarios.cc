// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/scenarios.h"

#include <fmt/format.h>

#include "lbd/model/vip.h"

namespace lb::sim {
namespace {

constexpr int kReals = 100;
constexpr double kMillion = 1 << 20;

struct Setup {
  int reals = kReals;
  int balancers = 1;
  bool windows = false;  // also with other windows
  double end = 1800;
};

int BitsFor(int reals) { return model::RingBits({.reals = std::vector<model::Real>(reals)}); }

std::vector<Contender> Contenders(const Setup& setup, double scale) {
  const int bits = BitsFor(setup.reals);
  std::vector<Contender> contenders;
  const auto add = [&](const std::string& name, const auto& make) {
    Contender contender{.name = name, .fleet = {}};
    for (int i = 0; i < setup.balancers; ++i) contender.fleet.push_back(make());
    contenders.push_back(std::move(contender));
  };
  const auto add_lbd = [&](const std::string& name, const model::SlotPolicy& policy,
                           int millions = 1) {
    add(name, [&, millions] {
      return MakeLbd(bits, policy, static_cast<uint64_t>(millions * kMillion / scale));
    });
  };
  add_lbd("auto", {});
  if (setup.windows) {
    add_lbd("auto, window 300 s", {.window = 300});
    add_lbd("auto, window 3600 s", {.window = 3600});
  }
  add_lbd("always, 4 M", {.always = true}, 4);
  add_lbd("none", {.track = false});
  for (const int millions : {1, 8}) {
    add(fmt::format("Maglev + LRU {} M", millions),
        [&] { return MakeMaglevLru(bits, static_cast<uint64_t>(millions * kMillion / scale)); });
  }
  return contenders;
}

std::function<std::vector<Result>(double, uint64_t)> Running(
    const Setup& setup, const std::function<void(Simulation&, double scale)>& prepare) {
  return [setup, prepare](double scale, uint64_t seed) {
    Simulation simulation({.flows_per_second = kFullRate / scale, .end = setup.end, .seed = seed},
                          setup.reals, Contenders(setup, scale));
    prepare(simulation, scale);
    return simulation.Run();
  };
}

void SetUsable(Simulation& simulation, size_t real, bool usable) {
  simulation.SetReals([=](Reals& reals) { reals[real].usable = usable; });
}

void RollingRestart(Simulation& simulation, double /*scale*/) {
  for (int real = 0; real < kReals; ++real) {
    simulation.At(real * 10.0, [&simulation, real] {
      SetUsable(simulation, real, false);
      simulation.Kill(real);
    });
    simulation.At(real * 10.0 + 30, [&simulation, real] { SetUsable(simulation, real, true); });
  }
}

void Flapping(Simulation& simulation, double /*scale*/) {
  for (int real = 0; real < 5; ++real) {
    for (double time = real * 3; time < 600; time += 40) {
      simulation.At(time, [&simulation, real] { SetUsable(simulation, real, false); });
      simulation.At(time + 15, [&simulation, real] { SetUsable(simulation, real, true); });
    }
  }
}

void DownAndBack(Simulation& simulation, double /*scale*/) {
  for (int real = 0; real < 5; ++real) {
    simulation.At(0, [&simulation, real] {
      SetUsable(simulation, real, false);
      simulation.Kill(real);
    });
    simulation.At(600, [&simulation, real] { SetUsable(simulation, real, true); });
  }
}

void Add(Simulation& simulation, int count) {
  simulation.SetReals([count](Reals& reals) {
    for (int i = 0; i < count; ++i) {
      const auto address = IpAddress::Parse(fmt::format("10.1.{}.{}", i / 250, i % 250 + 1));
      reals.push_back({.address = *address, .weight = 100, .usable = true});
    }
  });
}

void ScaleOut(Simulation& simulation, double /*scale*/) {
  simulation.At(0, [&simulation] { Add(simulation, kReals / 5); });
}

void ScaleIn(Simulation& simulation, double /*scale*/) {
  simulation.At(0, [&simulation] {
    simulation.SetReals([](Reals& reals) {
      for (size_t i = 0; i < kReals / 5; ++i) reals[i].usable = false;
    });
  });
}

void Weights(Simulation& simulation, double /*scale*/) {
  simulation.At(0, [&simulation] {
    simulation.SetReals([](Reals& reals) {
      for (size_t i = 0; i < reals.size(); ++i) reals[i].weight = i % 2 == 0 ? 90 : 110;
    });
  });
}

void FloodedScaleOut(Simulation& simulation, double scale) {
  ScaleOut(simulation, scale);
  simulation.At(30, [&simulation, scale] { simulation.Flood(1e6 / scale); });
  simulation.At(90, [&simulation] { simulation.Flood(0); });
}

std::function<void(Simulation&, double)> Failover(double after) {
  return [after](Simulation& simulation, double scale) {
    ScaleOut(simulation, scale);
    simulation.At(after, [&simulation] { simulation.ForgetFlows(); });
  };
}

// One in a hundred reals fails; each load balancer notices at another moment, and in the middle of
// that the routers lose one of them, and get it back.
void Fleet(Simulation& simulation, double /*scale*/) {
  simulation.set_health_lag(2);
  simulation.At(0, [&simulation] {
    simulation.SetReals([](Reals& reals) {
      for (size_t i = 0; i < reals.size(); i += 100) reals[i].usable = false;
    });
  });
  simulation.At(3, [&simulation] { simulation.SetRouted({true, true, true, false}); });
  simulation.At(120, [&simulation] {
    simulation.SetReals([](Reals& reals) {
      for (size_t i = 0; i < reals.size(); i += 100) reals[i].usable = true;
    });
  });
  simulation.At(180, [&simulation] { simulation.SetRouted({true, true, true, true}); });
}

void RehashedFleet(Simulation& simulation, double scale) {
  simulation.set_rehashing_routers();
  Fleet(simulation, scale);
}

// A tenth more reals, which the load balancers learn of one after the other, and routers that
// reshuffle most flows in the middle of the window.
void GrowingFleet(Simulation& simulation, double /*scale*/) {
  simulation.set_rehashing_routers();
  simulation.set_health_lag(2);
  simulation.At(0, [&simulation] { Add(simulation, 100); });
  simulation.At(60, [&simulation] { simulation.SetRouted({true, true, true, false}); });
}

}  // namespace

const std::vector<Scenario>& AllScenarios() {
  static const std::vector<Scenario> kScenarios = {
      {"rolling", "rolling restart of all 100 reals, 30 s each", Running({}, RollingRestart)},
      {"flapping", "5 reals flap for 10 min, their servers stay up", Running({}, Flapping)},
      {"down", "5 reals down for 10 min, and back", Running({}, DownAndBack)},
      {"scale_out", "20 reals more", Running({.windows = true}, ScaleOut)},
      {"scale_in", "20 reals drained", Running({}, ScaleIn)},
      {"weights", "all weights +-10 %", Running({}, Weights)},
      {"flood", "20 reals more, and 60 s of 1 M SYN/s", Running({.end = 600}, FloodedScaleOut)},
      {"failover_30", "20 reals more, an LB without flows takes over after 30 s",
       Running({.end = 900}, Failover(30))},
      {"failover_300", "the same after 300 s", Running({.end = 1200}, Failover(300))},
      {"failover_600", "the same after 600 s", Running({.end = 1500}, Failover(600))},
      {"fleet", "4 LBs, 1000 reals, 10 fail and return, ECMP loses one LB meanwhile",
       Running({.reals = 1000, .balancers = 4, .end = 600}, Fleet)},
      {"fleet_rehash", "the same, and ECMP moves most flows each time",
       Running({.reals = 1000, .balancers = 4, .end = 600}, RehashedFleet)},
      {"fleet_grow", "4 LBs, 1000 reals, 100 more, after 60 s ECMP moves most flows",
       Running({.reals = 1000, .balancers = 4, .end = 600}, GrowingFleet)},
  };
  return kScenarios;
}

}  // namespace lb::sim
