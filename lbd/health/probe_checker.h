// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "lbd/base/event_loop.h"
#include "lbd/health/checker.h"
#include "lbd/health/engine.h"
#include "lbd/health/xsk_wire.h"

namespace lb::health {

// Probes reals through AF_XDP sockets, on a thread of its own that shares nothing with others but a
// queue of tasks. Without a plan it sleeps, and has neither sockets nor memory.
class ProbeChecker final : public Checker {
 public:
  // `path` outlives this.
  static StatusOr<std::unique_ptr<ProbeChecker>> Create(dataplane::ProbePath& path);
  ~ProbeChecker() override;

  void SetListener(Listener listener) override { listener_ = std::move(listener); }
  Status Supports(const Plan& plan) const override;
  void SetPlan(Plan plan) override;
  void SetNetwork(Network network) override;
  Report MakeReport(const Scope& scope) override;

 private:
  ProbeChecker(dataplane::ProbePath& path, std::unique_ptr<EventLoop> loop)
      : path_(path), loop_(std::move(loop)), wire_(path) {}

  // All below on the prober's thread.
  void Run();
  void Round(Time now);
  bool ticks() const { return engine_ != nullptr && engine_->rate() > kEventRate; }
  // Opens the sockets anew where plan or network ask for it.
  void Bring();
  // By value: it may be what is open now.
  void OpenSockets(std::vector<XskWire::Interface> interfaces);
  void CloseSockets();
  // In ticks nobody waits for sockets.
  void WatchSockets();
  // Tells the XDP program how answers look, and tries whether it has understood.
  void SetOrigin();

  // Fewer probes a second than this: each answer wakes the thread. More: it looks every tick.
  static constexpr double kEventRate = 1000;
  static constexpr auto kTick = std::chrono::milliseconds(1);
  // How often queues and interfaces are looked at.
  static constexpr auto kLook = std::chrono::seconds(1);
  static constexpr auto kStall = std::chrono::milliseconds(20);
  static constexpr int kNice = -10;

  dataplane::ProbePath& path_;
  std::unique_ptr<EventLoop> loop_;
  Listener listener_;
  XskWire wire_;
  std::unique_ptr<Engine> engine_;  // null: there is no plan
  Plan plan_;
  Network network_;
  std::vector<XskWire::Interface> open_;
  bool open_zero_copy_ = false;
  std::vector<int> watched_;
  dataplane::ProbePath::Origin origin_;  // as the XDP program knows it
  Time look_at_;
  std::thread thread_;  // last: runs while everything above lives
};

}  // namespace lb::health
