// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lbd/dataplane/capture.h"
#include "lbd/dataplane/dataplane.h"

namespace lb::testing {

// A data plane that forwards nothing: it remembers what it was told, and answers as it is told.
// Thread-safe, so that a test can look while the control thread works.
class FakeDataplane : public dataplane::Dataplane {
 public:
  // What Apply() says from now on.
  void AnswerWith(const Status& status) {
    const std::lock_guard lock(mutex_);
    answer_ = status;
  }
  std::vector<dataplane::Desired> applied() const {
    const std::lock_guard lock(mutex_);
    return applied_;
  }
  std::vector<std::pair<model::VipKey, std::optional<IpAddress>>> purged() const {
    const std::lock_guard lock(mutex_);
    return purged_;
  }

  Status Apply(const dataplane::Desired& desired) override {
    const std::lock_guard lock(mutex_);
    if (answer_.ok()) applied_.push_back(desired);
    return answer_;
  }
  Status UpdateRings(const std::vector<dataplane::Service>& services) override {
    const std::lock_guard lock(mutex_);
    if (!answer_.ok()) return answer_;
    dataplane::Desired desired = applied_.back();
    desired.services = services;
    applied_.push_back(std::move(desired));
    return answer_;
  }
  std::set<std::pair<model::VipKey, IpAddress>> Serving() const override { return serving; }
  dataplane::ProbePath* probe_path() override { return nullptr; }
  int event_fd() const override { return -1; }
  void OnEvents() override {}
  std::vector<dataplane::Attachment> Attachments() const override {
    return {
        {.interface = "eth0", .mode = model::XdpMode::kNative, .program_id = 7, .link_up = true}};
  }
  std::vector<dataplane::NextHopResult> NextHops() const override { return next_hops; }
  dataplane::Stats ReadStats() const override { return stats; }
  std::vector<dataplane::TrackedFlow> ListFlows(const model::VipKey& /*vip*/,
                                                size_t limit) const override {
    return {flows.begin(), flows.begin() + std::min(limit, flows.size())};
  }
  uint64_t PurgeFlows(const model::VipKey& vip, const std::optional<IpAddress>& real) override {
    const std::lock_guard lock(mutex_);
    purged_.emplace_back(vip, real);
    return 3;
  }
  StatusOr<dataplane::Explanation> Explain(const dataplane::Frame& frame,
                                           const std::string& /*interface*/,
                                           const dataplane::Desired* /*pending*/) override {
    dataplane::Explanation explained = explanation;
    explained.decision.frame_length = frame.size();
    return explained;
  }
  StatusOr<std::unique_ptr<dataplane::CaptureReader>> StartCapture(
      const dataplane::CaptureFilter& /*filter*/) override {
    return FailedPrecondition("nothing to capture");
  }
  void StopCapture() override {}
  std::map<std::string, uint64_t> MapBytes() const override { return {{"lb_ring", 4096}}; }
  std::string PinPath() const override { return "/sys/fs/bpf/lbd"; }
  std::vector<std::string> Warnings() const override { return {"a warning"}; }

  // Answers; set before the control thread can ask.
  std::vector<dataplane::NextHopResult> next_hops;
  dataplane::Stats stats;
  dataplane::Explanation explanation;
  std::set<std::pair<model::VipKey, IpAddress>> serving;
  std::vector<dataplane::TrackedFlow> flows;

 private:
  mutable std::mutex mutex_;
  Status answer_;
  std::vector<dataplane::Desired> applied_;
  std::vector<std::pair<model::VipKey, std::optional<IpAddress>>> purged_;
};

}  // namespace lb::testing
