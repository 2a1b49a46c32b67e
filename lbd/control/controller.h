// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lbd/base/event_loop.h"
#include "lbd/base/mutex.h"
#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"
#include "lbd/control/draft.h"
#include "lbd/control/health_book.h"
#include "lbd/control/journal.h"
#include "lbd/control/lifecycle.h"
#include "lbd/control/plane_watch.h"
#include "lbd/control/request_log.h"
#include "lbd/control/ring_cache.h"
#include "lbd/control/transaction.h"
#include "lbd/dataplane/dataplane.h"
#include "lbd/events/event_hub.h"
#include "lbd/health/checker.h"
#include "lbd/model/change.h"
#include "lbd/model/config.h"

namespace lb::control {

// What is in force. Immutable once published.
struct Snapshot {
  model::Config config;
  uint64_t generation = 0;  // grows with every change
  WallTime time;            // of the change
  std::chrono::steady_clock::time_point applied_at;
  std::optional<WallTime> confirm_by;  // what was in force before comes back then
  // In the order of config.vips, each followed by its source routes.
  std::vector<dataplane::Service> services;

  // Names this configuration, over restarts too.
  std::string etag() const;
  // The reals of a VIP or of its source route, in the order of its service, but as they are
  // configured: those of services are down where their health is. Empty: there is no such group.
  std::vector<model::Real> ConfiguredReals(model::VipKey group) const;
};

// What the kernel side has to say.
struct DataplaneReport {
  std::vector<dataplane::Attachment> attachments;
  std::vector<dataplane::NextHopResult> next_hops;
  std::map<std::string, uint64_t> map_bytes;  // by BPF map
  std::vector<std::string> warnings;
  std::string pin_path;
};

struct Explained {
  dataplane::Explanation explanation;
  model::Config config;     // by which it is explained
  uint64_t generation = 0;  // 0: it is not in force
};

// What is known about reals, and how it is found out.
struct HealthReport {
  bool probing = false;
  HealthBook book;
  health::LatencyHistogram reactions;  // from a deciding answer or time-out until the rings follow
  health::Report probes;
};

// The single writer: one thread owns the state and the data plane, and makes one change after the
// other. Thread-safe.
class Controller {
 public:
  using Outcome = control::Outcome;

  // Without a journal nothing outlives the process; without a checker configurations with health
  // checks are refused.
  static StatusOr<std::unique_ptr<Controller>> Create(
      std::unique_ptr<dataplane::Dataplane> dataplane, std::unique_ptr<Journal> journal = nullptr,
      std::unique_ptr<health::Checker> checker = nullptr);
  ~Controller();

  // Goes on with a revision of the journal: to be called before anything else changes.
  Status Restore(const Revision& revision);

  // Makes `change` and returns when every CPU forwards by it and the journal has it; a refused
  // change leaves everything as it was. Small changes that are asked for at the same time are made
  // together.
  StatusOr<Outcome> Apply(const model::Change& change, const ChangeOptions& options = {});
  // Keeps a change that waits to be confirmed; with an etag only if it is that one.
  StatusOr<uint64_t> Confirm(const std::optional<std::string>& etag, const std::string& author);
  // Makes an earlier revision the configuration; by default the one before.
  StatusOr<Outcome> Rollback(std::optional<uint64_t> generation, const ChangeOptions& options);

  // Newest first.
  StatusOr<std::vector<RevisionInfo>> ListRevisions(size_t limit) const;
  StatusOr<model::Config> LoadRevision(uint64_t generation) const;

  std::shared_ptr<const Snapshot> snapshot() const;
  dataplane::Stats ReadStats();
  std::vector<dataplane::TrackedFlow> ListFlows(const model::VipKey& vip, size_t limit);
  uint64_t PurgeFlows(const model::VipKey& vip, const std::optional<IpAddress>& real);
  DataplaneReport Report();
  HealthReport Health(const health::Scope& scope);
  // Makes a real count as up or down, whatever its checks say, for `lifetime` or until it is taken
  // back (`up` empty).
  Status SetRealHealth(const model::VipKey& vip, const IpAddress& real, std::optional<bool> up,
                       std::optional<std::chrono::seconds> lifetime);
  // Returns when the control thread has answered.
  void Ping();
  // What happens.
  events::EventHub& events() { return events_; }
  // What would become of a frame, now or with `pending` in force. Changes nothing.
  StatusOr<Explained> Explain(const dataplane::Frame& frame,
                              const std::optional<model::Change>& pending);
  // One capture at a time, until StopCapture(). The reader belongs to the caller's thread.
  StatusOr<std::unique_ptr<dataplane::CaptureReader>> StartCapture(
      const dataplane::CaptureFilter& filter);
  void StopCapture();
  // Whether the control thread answers within `patience`.
  bool Responds(std::chrono::milliseconds patience);

 private:
  // A change that somebody waits for.
  struct Request {
    const model::Change& change;
    const ChangeOptions& options;
    bool rolls_back = false;  // allowed while a change waits to be confirmed
    std::promise<StatusOr<Outcome>> answer = {};
  };
  // A configuration that waits to be confirmed.
  struct Unconfirmed {
    model::Config before;
    uint64_t generation_before = 0;
    Lifecycle::TimePoint deadline;
  };

  Controller(std::unique_ptr<dataplane::Dataplane> dataplane, std::unique_ptr<Journal> journal,
             std::unique_ptr<health::Checker> checker, std::unique_ptr<EventLoop> loop,
             UniqueFd timer, UniqueFd look_timer);

  StatusOr<Outcome> Ask(const model::Change& change, const ChangeOptions& options, bool rolls_back);
  // Serves the queue; the rest belongs to the control thread.
  void ServeQueue();
  // Makes the changes of `requests` as one generation, or each alone where that fails.
  void Serve(std::span<Request* const> requests);
  // Whether `request` may be made now: of several at once only the first sees `before`.
  Status Admit(const Request& request, const Snapshot& before, bool first) const;
  // Brings the draft into force, or says what would happen.
  StatusOr<Outcome> Commit(const std::shared_ptr<const Snapshot>& before, const Draft& draft,
                           std::span<Request* const> requests);
  // Journal, data plane, journal: all or nothing.
  Status Install(const Revision& revision, const Draft& draft, const dataplane::Desired& desired,
                 const Snapshot& before);
  std::vector<Disruption> Predict(const Snapshot& before, const model::Config& config,
                                  const dataplane::Desired& desired) const;
  Status RestoreOnLoop(const Revision& revision);
  StatusOr<uint64_t> ConfirmOnLoop(const std::optional<std::string>& etag,
                                   const std::string& author);
  // The time to confirm is over.
  void TakeBack();

  // What the data plane is to do now for `config`. What is in force (`before`) goes on for all VIPs
  // but those that were `touched`, where that says which.
  dataplane::Desired DesiredNow(const model::Config& config, Lifecycle::TimePoint now,
                                const Snapshot* before = nullptr,
                                const std::optional<std::set<model::VipKey>>& touched = {});
  // The time has come for a step of a slow start, the end of a drain or of the wait for a
  // confirmation.
  void OnTimer();
  void StepLifecycle(Lifecycle::TimePoint now);
  // Rings the timer when something is next, at `retry` at the latest.
  void ScheduleTimer(Lifecycle::TimePoint now,
                     std::optional<Lifecycle::TimePoint> retry = std::nullopt);
  // Lets the data plane forward by what has changed since its last rings: weights and health. Tries
  // again later where that fails.
  Status Reforward(Lifecycle::TimePoint now);
  // Whether this host can check the reals as `config` says.
  Status CanProbe(const model::Config& config) const;
  // Starts to probe as `config` says.
  void StartProbing(const model::Config& config);
  // Tells the prober what the network is like now.
  void SyncNetwork();
  // Of the prober's thread.
  void OnTransition(const health::Transition& transition);
  void TakeTransitions();
  void TellHealth(const HealthBook::RealId& id, bool up, const std::string& reason);
  void Publish(std::shared_ptr<const Snapshot> snapshot);
  // Tells the difference of two configurations as events.
  void Tell(const model::Config& before, const Snapshot& after,
            const std::vector<std::string>& changes);
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
  std::unique_ptr<Journal> journal_;  // may be null
  std::unique_ptr<EventLoop> loop_;
  UniqueFd timer_;
  UniqueFd look_timer_;
  RingCache rings_;
  Lifecycle lifecycle_;
  HealthBook health_;
  health::LatencyHistogram reactions_;
  bool behind_ = false;  // the services in force are not those of weights and health now
  bool probing_ = false;
  RequestLog request_log_;
  std::optional<Unconfirmed> unconfirmed_;
  Mutex queue_mutex_;
  std::vector<Request*> queue_ LB_GUARDED_BY(queue_mutex_);
  mutable Mutex mutex_;
  std::vector<health::Transition> transitions_ LB_GUARDED_BY(mutex_);  // not yet taken
  std::shared_ptr<const Snapshot> snapshot_ LB_GUARDED_BY(mutex_);
  std::unique_ptr<health::Checker> checker_;  // null: reals cannot be checked
  std::thread thread_;                        // last: runs while everything above lives
};

}  // namespace lb::control
