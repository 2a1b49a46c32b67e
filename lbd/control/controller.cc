// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/controller.h"

#include <fmt/format.h>
#include <glog/logging.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "lbd/dataplane/capture.h"
#include "lbd/model/diff.h"
#include "lbd/model/find_route.h"

namespace lb::control {
namespace {

constexpr std::chrono::seconds kRetry{5};
constexpr long kLookNanos = 100'000'000;

bool Rang(const UniqueFd& timer) {
  uint64_t expirations = 0;
  return read(timer.get(), &expirations, sizeof(expirations)) > 0;
}

// `vip` as it is to be forwarded: what is sick does not serve.
model::Vip WithDown(model::Vip vip, const std::set<IpAddress>& sick) {
  for (model::Real& real : vip.reals) {
    if (sick.contains(real.address)) real.state = model::RealState::kDown;
  }
  return vip;
}

}  // namespace

std::string Snapshot::etag() const {
  using std::chrono::microseconds;
  const auto micros = std::chrono::duration_cast<microseconds>(time.time_since_epoch()).count();
  return fmt::format("{}-{:x}", generation, micros);
}

std::vector<model::Real> Snapshot::ConfiguredReals(model::VipKey group) const {
  const uint16_t number = std::exchange(group.route, uint16_t{0});
  const model::Vip* vip = config.FindVip(group);
  if (vip == nullptr) return {};
  if (number == 0) return vip->reals;
  const model::SourceRoute* route = model::FindRoute(*vip, number);
  return route != nullptr ? model::RouteVip(*vip, *route).reals : std::vector<model::Real>();
}

StatusOr<std::unique_ptr<Controller>> Controller::Create(
    std::unique_ptr<dataplane::Dataplane> dataplane, std::unique_ptr<Journal> journal,
    std::unique_ptr<health::Checker> checker) {
  LB_ASSIGN_OR_RETURN(auto loop, EventLoop::Create());
  UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer.valid()) return ErrnoStatus(errno, "create a timer");
  UniqueFd look_timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!look_timer.valid()) return ErrnoStatus(errno, "create a timer");
  std::unique_ptr<Controller> self(new Controller(std::move(dataplane), std::move(journal),
                                                  std::move(checker), std::move(loop),
                                                  std::move(timer), std::move(look_timer)));
  Controller* const controller = self.get();
  if (const int fd = self->dataplane_->event_fd(); fd >= 0) {
    LB_RETURN_IF_ERROR(self->loop_->Watch(fd, [controller] {
      controller->dataplane_->OnEvents();
      controller->SyncNetwork();
      controller->LookSoon();
    }));
  }
  LB_RETURN_IF_ERROR(
      self->loop_->Watch(self->timer_.get(), [controller] { controller->OnTimer(); }));
  LB_RETURN_IF_ERROR(self->loop_->Watch(self->look_timer_.get(), [controller] {
    if (Rang(controller->look_timer_)) controller->watch_.Look(*controller->dataplane_);
  }));
  if (self->checker_ != nullptr) {
    self->checker_->SetListener([controller](const health::Transition& transition) {
      controller->OnTransition(transition);
    });
  }
  self->thread_ = std::thread([loop = self->loop_.get()] { loop->Run(); });
  return self;
}

Controller::Controller(std::unique_ptr<dataplane::Dataplane> dataplane,
                       std::unique_ptr<Journal> journal, std::unique_ptr<health::Checker> checker,
                       std::unique_ptr<EventLoop> loop, UniqueFd timer, UniqueFd look_timer)
    : dataplane_(std::move(dataplane)),
      journal_(std::move(journal)),
      loop_(std::move(loop)),
      timer_(std::move(timer)),
      look_timer_(std::move(look_timer)),
      snapshot_(std::make_shared<const Snapshot>(
          Snapshot{.applied_at = std::chrono::steady_clock::now()})),
      checker_(std::move(checker)) {}

Controller::~Controller() {
  events_.Stop();
  loop_->Stop();
  if (thread_.joinable()) thread_.join();
  checker_.reset();  // while what it calls back still lives
}

std::shared_ptr<const Snapshot> Controller::snapshot() const {
  MutexLock lock(mutex_);
  return snapshot_;
}

void Controller::Publish(std::shared_ptr<const Snapshot> snapshot) {
  MutexLock lock(mutex_);
  snapshot_ = std::move(snapshot);
}

void Controller::Tell(const model::Config& before, const Snapshot& after,
                      const std::vector<std::string>& changes) {
  constexpr size_t kMaxLines = 50;
  std::string message = fmt::format("generation {} is in force", after.generation);
  if (after.confirm_by) message += ", and waits to be confirmed";
  for (size_t i = 0; i < std::min(changes.size(), kMaxLines); ++i) message += "\n" + changes[i];
  if (changes.size() > kMaxLines) {
    message += fmt::format("\nand {} more changes", changes.size() - kMaxLines);
  }
  events_.Publish({.kind = events::Kind::kConfig,
                   .message = std::move(message),
                   .generation = after.generation});
  const auto drains = [](const model::Real* real) {
    return real != nullptr && real->state == model::RealState::kDraining;
  };
  for (size_t i = 0; i < after.config.vips.size(); ++i) {
    const model::Vip& vip = after.config.vips[i];
    const bool same_place = i < before.vips.size() && before.vips[i].key == vip.key;
    const model::Vip* was = same_place ? &before.vips[i] : before.FindVip(vip.key);
    if (was != nullptr && *was == vip) continue;
    for (const model::Real& real : vip.reals) {
      const model::Real* real_was = was != nullptr ? was->FindReal(real.address) : nullptr;
      if (drains(&real) == drains(real_was)) continue;
      events_.Publish(
          {.kind = events::Kind::kDrain,
           .object = fmt::format("{} real {}", vip.key.ToString(), real.address.ToString()),
           .message = drains(&real) ? "draining" : "no longer draining"});
    }
  }
}

void Controller::LookSoon() {
  itimerspec timer{};
  timerfd_gettime(look_timer_.get(), &timer);
  if (timer.it_value.tv_nsec != 0) return;
  timer.it_value.tv_nsec = kLookNanos;
  timerfd_settime(look_timer_.get(), 0, &timer, nullptr);
}

dataplane::Desired Controller::DesiredNow(const model::Config& config, Lifecycle::TimePoint now,
                                          const Snapshot* before,
                                          const std::optional<std::set<model::VipKey>>& touched) {
  dataplane::Desired desired{
      .settings = config.settings, .services = {}, .probing = config.probing()};
  const std::span<const dataplane::Service> known =
      before != nullptr && touched ? before->services : std::span<const dataplane::Service>();
  size_t next = 0;
  for (const model::Vip& vip : config.vips) {
    const size_t count = 1 + vip.source_routes.size();
    if (!known.empty() && !touched->contains(vip.key) && !lifecycle_.Starts(vip.key)) {
      // VIPs that were not touched keep their order.
      while (known[next].vip.key != vip.key) ++next;
      desired.services.insert(desired.services.end(), &known[next], &known[next] + count);
      next += count;
      continue;
    }
    const std::set<IpAddress> sick = health_.Sick(vip);
    desired.services.push_back(
        {WithDown(vip, sick), rings_.Get(lifecycle_.Effective(vip, now), sick)});
    for (const model::SourceRoute& route : vip.source_routes) {
      const model::Vip group = model::RouteVip(vip, route);
      const std::set<IpAddress> sick_there = health_.Sick(group);
      desired.services.push_back({WithDown(group, sick_there), rings_.Get(group, sick_there)});
    }
  }
  return desired;
}

void Controller::ScheduleTimer(Lifecycle::TimePoint now,
                               std::optional<Lifecycle::TimePoint> retry) {
  std::optional<Lifecycle::TimePoint> at = retry;
  const auto consider = [&](Lifecycle::TimePoint time) { at = at ? std::min(*at, time) : time; };
  if (const auto next = lifecycle_.Next(now)) consider(*next);
  if (const auto expiry = health_.NextExpiry()) consider(*expiry);
  if (unconfirmed_) consider(unconfirmed_->deadline);
  itimerspec timer{};
  if (at) {
    // A timer of 0 would be off, and one that rings too early would ring again.
    const auto left =
        std::max(*at - std::chrono::steady_clock::now(), Lifecycle::TimePoint::duration::zero()) +
        std::chrono::milliseconds(1);
    timer.it_value.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
    timer.it_value.tv_nsec = (left % std::chrono::seconds(1)).count();
  }
  timerfd_settime(timer_.get(), 0, &timer, nullptr);
}

void Controller::OnTimer() {
  if (!Rang(timer_)) return;
  const auto now = std::chrono::steady_clock::now();
  if (unconfirmed_ && now >= unconfirmed_->deadline) TakeBack();
  StepLifecycle(now);
}

void Controller::StepLifecycle(Lifecycle::TimePoint now) {
  for (const auto& [vip, real] : lifecycle_.TakeDrained(now)) {
    const uint64_t given_up = dataplane_->PurgeFlows(vip, real);
    LOG(INFO) << vip.ToString() << " real " << real.ToString() << ": drained, " << given_up
              << " flows given up";
    events_.Publish({.kind = events::Kind::kDrain,
                     .object = fmt::format("{} real {}", vip.ToString(), real.ToString()),
                     .message = fmt::format("deadline over, {} flows given up", given_up)});
  }
  for (const HealthBook::RealId& id : health_.TakeExpired(now)) {
    TellHealth(id, health_.Find(id)->up(), "the override is over");
  }
  (void)Reforward(now);
}

Status Controller::Reforward(Lifecycle::TimePoint now) {
  const std::shared_ptr<const Snapshot> before = snapshot();
  dataplane::Desired desired = DesiredNow(before->config, now);
  if (desired.services != before->services) {
    if (const Status status = dataplane_->UpdateRings(desired.services); !status.ok()) {
      LOG(ERROR) << "Rings as weights and health are now: " << Message(status);
      behind_ = true;
      ScheduleTimer(now, now + kRetry);  // the last step would be its last chance
      return status;
    }
    behind_ = false;
    rings_.Trim();
    auto after = std::make_shared<Snapshot>(*before);
    after->services = std::move(desired.services);
    Publish(std::move(after));
  }
  // Of the moment that was applied: a step since then is still to be made.
  ScheduleTimer(now);
  return OkStatus();
}

dataplane::Stats Controller::ReadStats() {
  return Call([this] { return dataplane_->ReadStats(); });
}

std::vector<dataplane::TrackedFlow> Controller::ListFlows(const model::VipKey& vip, size_t limit) {
  return Call([&] { return dataplane_->ListFlows(vip, limit); });
}

uint64_t Controller::PurgeFlows(const model::VipKey& vip, const std::optional<IpAddress>& real) {
  return Call([&] { return dataplane_->PurgeFlows(vip, real); });
}

void Controller::Ping() {
  Call([] {});
}

DataplaneReport Controller::Report() {
  return Call([this] {
    return DataplaneReport{.attachments = dataplane_->Attachments(),
                           .next_hops = dataplane_->NextHops(),
                           .map_bytes = dataplane_->MapBytes(),
                           .warnings = dataplane_->Warnings(),
                           .pin_path = dataplane_->PinPath()};
  });
}

StatusOr<Explained> Controller::Explain(const dataplane::Frame& frame,
                                        const std::optional<model::Change>& pending) {
  return Call([&]() -> StatusOr<Explained> {
    const auto now = snapshot();
    Explained result{.config = now->config, .generation = now->generation};
    std::optional<dataplane::Desired> desired;
    if (pending) {
      LB_ASSIGN_OR_RETURN(result.config, model::Apply(now->config, *pending));
      result.generation = 0;
      const auto at = std::chrono::steady_clock::now();
      desired = DesiredNow(result.config, at);
      rings_.Trim();
    }
    const auto& interfaces = result.config.settings.interfaces;
    LB_ASSIGN_OR_RETURN(result.explanation,
                        dataplane_->Explain(frame, interfaces.empty() ? "" : interfaces.front(),
                                            desired ? &*desired : nullptr));
    return result;
  });
}

StatusOr<std::unique_ptr<dataplane::CaptureReader>> Controller::StartCapture(
    const dataplane::CaptureFilter& filter) {
  return Call([&] { return dataplane_->StartCapture(filter); });
}

void Controller::StopCapture() {
  Call([&] { dataplane_->StopCapture(); });
}

bool Controller::Responds(std::chrono::milliseconds patience) {
  const auto answer = std::make_shared<std::promise<void>>();
  auto answered = answer->get_future();
  loop_->Post([answer] { answer->set_value(); });
  return answered.wait_for(patience) == std::future_status::ready;
}

}  // namespace lb::control
