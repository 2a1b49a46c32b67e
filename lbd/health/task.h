// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lbd/health/attempt.h"
#include "lbd/health/latency.h"
#include "lbd/health/report.h"
#include "lbd/health/state_machine.h"
#include "lbd/health/timer_wheel.h"
#include "lbd/model/check.h"

namespace lb::health {

// What all reals of a VIP share about one of its checks.
struct CheckContext {
  model::VipKey vip;
  model::HealthCheck check;
  IpAddress address;  // of the VIP, that is probed
  uint16_t port = 0;
  std::string_view name;
  Prober prober;

  // Null where it goes over TCP.
  const DatagramProber* datagram() const {
    const auto* prober_of = std::get_if<std::unique_ptr<DatagramProber>>(&prober);
    return prober_of != nullptr ? prober_of->get() : nullptr;
  }
  // Null where it goes by datagrams.
  const StreamProber* stream() const {
    const auto* prober_of = std::get_if<std::unique_ptr<StreamProber>>(&prober);
    return prober_of != nullptr ? prober_of->get() : nullptr;
  }
  bool is_echo() const { return datagram() != nullptr && datagram()->is_echo(); }
};

// The way to a real.
struct Path {
  dataplane::NextHop hop;
  std::string problem = "its next hop is not known yet";
  Time problem_at;  // when there was one last
};

// A real of a VIP, up while all of its tasks are.
struct Member {
  model::VipKey vip;
  IpAddress real;
  State state = State::kUnknown;
  Time since;
  std::vector<Task*> tasks;
  std::vector<Transition> history;  // the last kHistory
  static constexpr size_t kHistory = 32;
};

// One check of one real: what is known, and when to look again.
struct Task final : public Timer {
  using OnTimer = std::function<void(Task&, Time)>;

  Task(const model::CheckTiming& timing, State initial, const OnTimer& handler)
      : machine(timing, initial), on_timer(handler) {}

  // Of what goes through the tunnel, or of all there is.
  bool inner_v4() const { return context->is_echo() ? real.is_v4() : context->vip.address.is_v4(); }

  std::shared_ptr<const CheckContext> context;
  IpAddress real;
  model::Encap encap = model::Encap::kIpIp;
  Path* path = nullptr;
  StateMachine machine;
  Time since;                    // of the state
  std::vector<Member*> members;  // several where VIPs share it
  Attempt* attempt = nullptr;    // the probe under way
  std::optional<Time> last_at;
  Outcome last;
  std::string blind;
  LatencyWindow latencies;

 private:
  void OnDue(Time now) override { on_timer(*this, now); }

  const OnTimer& on_timer;
};

}  // namespace lb::health
