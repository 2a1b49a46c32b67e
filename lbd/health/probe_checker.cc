// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/probe_checker.h"

#include <fmt/format.h>
#include <net/if.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <future>

#include "lbd/health/port_range.h"

namespace lb::health {

using std::chrono::milliseconds;

StatusOr<std::unique_ptr<ProbeChecker>> ProbeChecker::Create(dataplane::ProbePath& path) {
  LB_ASSIGN_OR_RETURN(auto loop, EventLoop::Create());
  std::unique_ptr<ProbeChecker> self(new ProbeChecker(path, std::move(loop)));
  self->thread_ = std::thread([checker = self.get()] { checker->Run(); });
  pthread_setname_np(self->thread_.native_handle(), "prober");
  return self;
}

ProbeChecker::~ProbeChecker() {
  loop_->Stop();
  thread_.join();
}

Status ProbeChecker::Supports(const Plan& plan) const {
  LB_RETURN_IF_ERROR(XskWire::Available());
  for (const PlannedVip& vip : plan.vips) {
    for (const model::HealthCheck& check : vip.checks) {
      LB_RETURN_IF_ERROR(Annotate(CheckFiles(check.kind), vip.key.ToString()));
    }
  }
  if (const auto clash = FindPortClash(plan.settings.first_port, plan.settings.last_port)) {
    return FailedPrecondition(fmt::format("{}; choose others, or: {}", clash->problem, clash->fix));
  }
  return OkStatus();
}

void ProbeChecker::SetPlan(Plan plan) {
  loop_->Post([this, plan = std::move(plan)] {
    const Time now = std::chrono::steady_clock::now();
    plan_ = plan;
    if (plan.empty()) {
      CloseSockets();
      engine_.reset();
      return;
    }
    if (engine_ == nullptr) {
      HashKey secret;
      (void)!getrandom(&secret, sizeof(secret), 0);
      engine_ = std::make_unique<Engine>(
          wire_, secret, [this](const Transition& transition) { listener_(transition); }, now);
    }
    engine_->SetPlan(plan_, now);
    engine_->SetNetwork(network_, now);
    Bring();
    WatchSockets();
  });
}

void ProbeChecker::SetNetwork(Network network) {
  loop_->Post([this, network = std::move(network)] {
    const Time now = std::chrono::steady_clock::now();
    network_ = network;
    if (engine_ == nullptr) return;
    engine_->SetNetwork(network_, now);
    Bring();
  });
}

Report ProbeChecker::MakeReport(const Scope& scope) {
  std::promise<Report> promise;
  auto report = promise.get_future();
  loop_->Post([&] {
    const Time now = std::chrono::steady_clock::now();
    Report made;
    if (engine_ != nullptr) made = engine_->MakeReport(scope, now);
    made.sockets = wire_.MakeReport();
    made.now = now;
    promise.set_value(std::move(made));
  });
  return report.get();
}

void ProbeChecker::Run() {
  // Of this thread alone, and only where lbd may (LimitNICE=): late answers are lost answers.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  while (true) {
    Time now = std::chrono::steady_clock::now();
    auto wait = milliseconds(-1);
    Time expected = Time::max();
    if (engine_ != nullptr) {
      if (ticks()) {
        std::this_thread::sleep_for(kTick);
        wait = milliseconds(0);
        expected = now + kTick;
      } else {
        expected = engine_->NextAt(now, kLook);
        wait = std::max(milliseconds(0), std::chrono::ceil<milliseconds>(expected - now));
      }
    }
    if (!loop_->RunOnce(wait)) break;
    if (engine_ == nullptr) continue;
    now = std::chrono::steady_clock::now();
    if (now > expected && now - expected > kStall) engine_->NoteStall(now - expected);
    Round(now);
    const Time end = std::chrono::steady_clock::now();
    if (end - now > kStall) engine_->NoteStall(end - now);
  }
}

void ProbeChecker::Round(Time now) {
  wire_.Receive(now, [&](Bytes frame, Time received) { engine_->OnFrame(frame, received, now); });
  engine_->Advance(now);
  wire_.Flush();
  if (now < look_at_) return;
  look_at_ = now + kLook;
  wire_.MeasureLoss(now);
  if (!open_.empty() && !wire_.Intact()) OpenSockets(open_);
}

void ProbeChecker::Bring() {
  std::vector<XskWire::Interface> wanted;
  for (const dataplane::Attachment& attachment : network_.attachments) {
    const int index = static_cast<int>(if_nametoindex(attachment.interface.c_str()));
    if (index != 0 && attachment.program_id != 0) wanted.push_back({attachment.interface, index});
  }
  if (wanted != open_ || plan_.settings.zero_copy != open_zero_copy_) OpenSockets(wanted);
  SetOrigin();
}

void ProbeChecker::OpenSockets(std::vector<XskWire::Interface> interfaces) {
  CloseSockets();
  // The index may have changed meanwhile.
  std::vector<XskWire::Interface> there = interfaces;
  for (XskWire::Interface& interface : there) {
    interface.index = static_cast<int>(if_nametoindex(interface.name.c_str()));
  }
  std::erase_if(there, [](const XskWire::Interface& interface) { return interface.index == 0; });
  wire_.Open(there, plan_.settings.zero_copy);
  open_ = std::move(interfaces);
  open_zero_copy_ = plan_.settings.zero_copy;
  WatchSockets();
  SetOrigin();
}

void ProbeChecker::WatchSockets() {
  for (const int fd : watched_) loop_->Unwatch(fd);
  watched_.clear();
  if (ticks()) return;
  for (const int fd : wire_.fds()) {
    if (loop_->Watch(fd, [] {}).ok()) watched_.push_back(fd);
  }
}

void ProbeChecker::CloseSockets() {
  for (const int fd : watched_) loop_->Unwatch(fd);
  watched_.clear();
  wire_.Close();
  open_.clear();
}

void ProbeChecker::SetOrigin() {
  const dataplane::ProbePath::Origin origin{.source_v4 = engine_->source_v4(),
                                            .source_v6 = engine_->source_v6(),
                                            .first_port = plan_.settings.first_port,
                                            .last_port = plan_.settings.last_port};
  // Answers that come during the change are lost.
  if (origin != origin_) path_.SetOrigin(origin);
  origin_ = origin;
  const auto& source = origin.source_v4 ? origin.source_v4 : origin.source_v6;
  if (!source) return;
  // An answer to no probe: of a real it would be dropped as stale.
  std::array<uint8_t, 128> frame;
  const size_t size = WriteTcp(frame, Route(),
                               {.source = *source,
                                .destination = *source,
                                .source_port = 9,
                                .destination_port = origin.first_port},
                               {.flags = kRst}, {});
  wire_.Test(Bytes(frame).first(size));
}

}  // namespace lb::health
