// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/controller.h"

#include <glog/logging.h>

#include "lbd/model/diff.h"

namespace lb::control {

StatusOr<std::unique_ptr<Controller>> Controller::Create(
    std::unique_ptr<dataplane::Dataplane> dataplane) {
  LB_ASSIGN_OR_RETURN(auto loop, EventLoop::Create());
  if (const int fd = dataplane->event_fd(); fd >= 0) {
    LB_RETURN_IF_ERROR(loop->Watch(fd, [plane = dataplane.get()] { plane->OnEvents(); }));
  }
  return std::unique_ptr<Controller>(new Controller(std::move(dataplane), std::move(loop)));
}

Controller::Controller(std::unique_ptr<dataplane::Dataplane> dataplane,
                       std::unique_ptr<EventLoop> loop)
    : dataplane_(std::move(dataplane)),
      loop_(std::move(loop)),
      snapshot_(std::make_shared<const Snapshot>(
          Snapshot{.applied_at = std::chrono::steady_clock::now()})),
      thread_([this] { loop_->Run(); }) {}

Controller::~Controller() {
  loop_->Stop();
  thread_.join();
}

std::shared_ptr<const Snapshot> Controller::snapshot() const {
  MutexLock lock(mutex_);
  return snapshot_;
}

StatusOr<Controller::Outcome> Controller::Apply(const model::Change& change, bool validate_only) {
  return Call([&] { return ApplyOnLoop(change, validate_only); });
}

StatusOr<Controller::Outcome> Controller::ApplyOnLoop(const model::Change& change,
                                                      bool validate_only) {
  const std::shared_ptr<const Snapshot> before = snapshot();
  LB_ASSIGN_OR_RETURN(model::Config config, model::Apply(before->config, change));
  Outcome outcome{.generation = before->generation, .changes = model::Diff(before->config, config)};
  if (validate_only) return outcome;

  auto after = std::make_shared<Snapshot>();
  dataplane::Desired desired{.settings = config.settings, .services = {}};
  for (const model::Vip& vip : config.vips) desired.services.push_back({vip, rings_.Get(vip)});
  LB_RETURN_IF_ERROR(dataplane_->Apply(desired));
  rings_.Trim();

  outcome.generation = before->generation + 1;
  after->config = std::move(config);
  after->generation = outcome.generation;
  after->applied_at = std::chrono::steady_clock::now();
  after->services = std::move(desired.services);
  LOG(INFO) << "Generation " << outcome.generation << " is in force";
  for (const std::string& line : outcome.changes) LOG(INFO) << "  " << line;
  MutexLock lock(mutex_);
  snapshot_ = std::move(after);
  return outcome;
}

dataplane::Stats Controller::ReadStats() {
  return Call([this] { return dataplane_->ReadStats(); });
}

DataplaneReport Controller::Report() {
  return Call([this] {
    return DataplaneReport{.attachments = dataplane_->Attachments(),
                           .next_hops = dataplane_->NextHops(),
                           .map_bytes = dataplane_->MapBytes(),
                           .warnings = dataplane_->Warnings()};
  });
}

}  // namespace lb::control
