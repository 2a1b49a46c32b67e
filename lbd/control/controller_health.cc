// SPDX-License-Identifier: Apache-2.0
// How the controller learns which reals serve, and what it makes of that.
#include <fmt/format.h>
#include <glog/logging.h>

#include "lbd/control/controller.h"
#include "lbd/dataplane/interface.h"

namespace lb::control {

Status Controller::CanProbe(const model::Config& config) const {
  if (!config.probing()) return OkStatus();
  if (checker_ == nullptr) return FailedPrecondition("health checks: this lbd cannot probe");
  return checker_->Supports(health_.MakePlan(config));
}

void Controller::StartProbing(const model::Config& config) {
  if (checker_ == nullptr) return;
  const bool probed = probing_;
  probing_ = config.probing();
  if (!probing_ && !probed) return;
  SyncNetwork();
  checker_->SetPlan(health_.MakePlan(config));
}

void Controller::SyncNetwork() {
  if (!probing_) return;
  health::Network network{
      .hops = dataplane_->NextHops(), .attachments = dataplane_->Attachments(), .addresses = {}};
  for (const dataplane::Attachment& attachment : network.attachments) {
    network.addresses[attachment.interface] = dataplane::GetAddresses(attachment.interface);
  }
  checker_->SetNetwork(std::move(network));
}

void Controller::OnTransition(const health::Transition& transition) {
  bool first = false;
  {
    MutexLock lock(mutex_);
    first = transitions_.empty();
    transitions_.push_back(transition);
  }
  // Those that come until then are taken together: one ring for all of them.
  if (first) loop_->Post([this] { TakeTransitions(); });
}

void Controller::TakeTransitions() {
  std::vector<health::Transition> transitions;
  {
    MutexLock lock(mutex_);
    transitions.swap(transitions_);
  }
  const auto now = std::chrono::steady_clock::now();
  const std::shared_ptr<const Snapshot> current = snapshot();
  std::vector<health::Time> decided;
  for (const health::Transition& transition : transitions) {
    const HealthBook::RealId id{transition.vip, transition.real};
    const HealthBook::Entry* entry = health_.Find(id);
    const bool was_down = entry != nullptr && entry->state == health::State::kDown;
    if (!health_.Note(transition)) continue;
    const model::Vip* vip = current->config.FindVip(transition.vip);
    if (transition.up && was_down && vip != nullptr && vip->FindReal(transition.real) != nullptr) {
      lifecycle_.Return(*vip, transition.real, now);
    }
    TellHealth(id, transition.up, transition.reason);
    decided.push_back(transition.at);
  }
  if (!Reforward(now).ok()) return;
  const auto done = std::chrono::steady_clock::now();
  for (const health::Time at : decided) reactions_.Add(done - at);
}

void Controller::TellHealth(const HealthBook::RealId& id, bool up, const std::string& reason) {
  const std::string object = fmt::format("{} real {}", id.first.ToString(), id.second.ToString());
  const std::string message = fmt::format("{}: {}", up ? "up" : "down", reason);
  LOG(INFO) << object << " is " << message;
  events_.Publish({.kind = events::Kind::kHealth, .object = object, .message = message});
}

HealthReport Controller::Health(const health::Scope& scope) {
  HealthReport report = Call([this] { return HealthReport{probing_, health_, reactions_, {}}; });
  if (report.probing) report.probes = checker_->MakeReport(scope);
  return report;
}

Status Controller::SetRealHealth(const model::VipKey& vip, const IpAddress& real,
                                 std::optional<bool> up,
                                 std::optional<std::chrono::seconds> lifetime) {
  return Call([&]() -> Status {
    const auto now = std::chrono::steady_clock::now();
    const HealthBook::RealId id{vip, real};
    std::optional<HealthBook::Override> value;
    if (up) value = HealthBook::Override{.up = *up, .until = std::nullopt};
    if (up && lifetime) value->until = now + *lifetime;
    LB_RETURN_IF_ERROR(health_.SetOverride(id, value));
    TellHealth(id, health_.Find(id)->up(), up ? "by an operator" : "the override is taken back");
    return Reforward(now);
  });
}

}  // namespace lb::control
