// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lbd/base/event_loop.h"
#include "lbd/base/mutex.h"
#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"
#include "lbd/control/lifecycle.h"
#include "lbd/control/plane_watch.h"
#include "lbd/control/ring_cache.h"
#include "lbd/dataplane/dataplane.h"
#include "lbd/events/event_hub.h"
#include "lbd/model/change.h"
#include "lbd/model/config.h"

namespace lb::control {

// What is in force. Immutable once published.
struct Snapshot {
  model::Config config;
  uint64_t generation = 0;  // grows with every change
  std::chrono::steady_clock::time_point applied_at;
  // In the order of config.vips, each followed by its source routes.
  std::vector<dataplane::Service> services;
};

// What the kernel side has to say.
struct DataplaneReport {
  std::vector<dataplane::Attachment> attachments;
  std::vector<dataplane::NextHopResult> next_hops;
  uint64_t map_bytes = 0;
  std::vector<std::string> warnings;
};

// The single writer: one thread owns the state and the data plane, and makes one change after the
// other. Thread-safe.
class Controller {
 public:
  static StatusOr<std::unique_ptr<Controller>> Create(
      std::unique_ptr<dataplane::Dataplane> dataplane);
  ~Controller();

  struct Outcome {
    uint64_t generation = 0;
    std::vector<std::string> changes;
  };
  // Makes `change` and returns when every CPU forwards by it; a refused change leaves everything as
  // it was. With `validate_only` nothing is changed.
  StatusOr<Outcome> Apply(const model::Change& change, bool validate_only = false);

  std::shared_ptr<const Snapshot> snapshot() const;
  dataplane::Stats ReadStats();
  std::vector<dataplane::TrackedFlow> ListFlows(const model::VipKey& vip, size_t limit);
  uint64_t PurgeFlows(const model::VipKey& vip, const std::optional<IpAddress>& real);
  DataplaneReport Report();
  // What happens.
  events::EventHub& events() { return events_; }

 private:
  Controller(std::unique_ptr<dataplane::Dataplane> dataplane, std::unique_ptr<EventLoop> loop,
             UniqueFd timer, UniqueFd look_timer);

  StatusOr<Outcome> ApplyOnLoop(const model::Change& change, bool validate_only);
  // What the data plane is to do now for `config`.
  dataplane::Desired DesiredNow(const model::Config& config, Lifecycle::TimePoint now);
  // The time has come for a step of a slow start or for the end of a drain.
  void OnTimer();
  // Calls OnTimer() at `at`; empty: not.
  void ScheduleTimer(const std::optional<Lifecycle::TimePoint>& at);
  void Publish(std::shared_ptr<const Snapshot> snapshot);
  // Tells the difference of two configurations as events.
  void Tell(const model::Config& before, const model::Config& after, const Outcome& outcome);
  // Looks for events of the data plane soon: the next few changes are looked at together.
  void LookSoon();

  // Runs `function` on the control thread and returns its result.
  template <typename Function>
  auto Call(Function function) {
    std::packaged_task<decltype(function())()> task(std::move(function));
    auto result = task.get_future();
    loop_->Post([&task] { task(); });
    return result.get();
  }

  events::EventHub events_;
  PlaneWatch watch_{events_};
  std::unique_ptr<dataplane::Dataplane> dataplane_;
  std::unique_ptr<EventLoop> loop_;
  UniqueFd timer_;
  UniqueFd look_timer_;
  RingCache rings_;
  Lifecycle lifecycle_;
  mutable Mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_ LB_GUARDED_BY(mutex_);
  std::thread thread_;  // last: runs while everything above lives
};

}  // namespace lb::control
