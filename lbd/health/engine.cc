// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

namespace lb::health {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t kResetsPerSecond = 100;
// TLS handshakes, 1 ms of CPU each.
constexpr uint32_t kExpensivePerSecond = 50;
constexpr milliseconds kTokenRetry{20};
// From the first datagram to the second, then twice as long each time.
constexpr milliseconds kSendAgain{300};
// From one try to the next where there is no room, or nothing to be seen.
constexpr milliseconds kRoomRetry{2};
constexpr milliseconds kShortestBlindRetry{100};
// No longer segments than these, whatever the path says it can take: tunnels lie.
constexpr uint32_t kMaxMss = 1400;
constexpr uint32_t kMinMss = 88;
constexpr uint32_t kTcpHeader = 20;
constexpr uint32_t kEthernet = 14;
// As the XDP program knows our echo requests (LB_PROBE_ECHO_SEQUENCE).
constexpr uint16_t kEchoSequence = 0x6c62;
// Of GUE, as the forwarder chooses them.
constexpr uint32_t kFirstOuterPort = 0xc000;

std::string HumanDuration(Duration duration) {
  const auto millis = std::chrono::duration_cast<milliseconds>(duration).count();
  return millis % 1000 == 0 ? fmt::format("{} s", millis / 1000) : fmt::format("{} ms", millis);
}

State Worst(const std::vector<Task*>& tasks) {
  State worst = State::kUp;
  for (const Task* task : tasks) {
    if (task->machine.state() == State::kDown) return State::kDown;
    if (task->machine.state() == State::kUnknown) worst = State::kUnknown;
  }
  return worst;
}

void AddResults(const Task& task, CheckReport& row) {
  const StateMachine& machine = task.machine;
  row.since = task.since;
  row.in_a_row = task.last.ok() ? machine.successes() : machine.failures();
  row.last_at = task.last_at;
  row.last = task.last;
  row.p50_micros = task.latencies.PercentileMicros(50);
  row.p99_micros = task.latencies.PercentileMicros(99);
  row.next_at = task.attempt != nullptr ? task.attempt->deadline : task.due();
}

std::string Prefixed(const Task& task, const std::string& text) {
  return fmt::format("{}: {}", task.context->name, text);
}

}  // namespace

Engine::Engine(Wire& wire, const HashKey& secret, Listener listener, Time now)
    : wire_(wire),
      secret_(secret),
      listener_(std::move(listener)),
      wheel_(now),
      on_attempt_timer_([this](Attempt& attempt, Time at) { OnAttemptTimer(attempt, at); }),
      on_task_timer_([this](Task& task, Time at) { Start(task, at); }),
      scheduler_(secret.k0),
      resets_(kResetsPerSecond),
      expensive_(kExpensivePerSecond) {}

Engine::~Engine() = default;

void Engine::SetPlan(const Plan& plan, Time now) {
  const bool ports_changed = table_v4_ == nullptr ||
                             plan.settings.first_port != plan_.settings.first_port ||
                             plan.settings.last_port != plan_.settings.last_port;
  if (plan.settings != plan_.settings) AbandonAll(now);
  plan_ = plan;
  if (ports_changed) {
    const auto make = [&] {
      return std::make_unique<AttemptTable>(plan.settings.first_port, plan.settings.last_port,
                                            on_attempt_timer_);
    };
    table_v4_ = make();
    table_v6_ = make();
  }
  std::map<MemberKey, std::unique_ptr<Member>> before = std::move(members_);
  members_.clear();
  rate_ = 0;
  std::vector<std::shared_ptr<const CheckContext>> contexts;
  for (const PlannedVip& vip : plan.vips) {
    contexts.clear();
    for (const model::HealthCheck& check : vip.checks) {
      contexts.push_back(ContextOf(vip, check));
      rate_ += 1000.0 / check.timing.interval_ms * static_cast<double>(vip.reals.size());
    }
    for (const PlannedReal& real : vip.reals) {
      const auto known = before.find({vip.key, real.address});
      if (known != before.end()) members_[known->first] = std::move(known->second);
      KeepTasks(vip, real, contexts, now);
    }
  }
  for (auto& [key, member] : before) {
    if (member == nullptr) continue;
    for (Task* task : member->tasks) Detach(*member, *task, now);
  }
  std::vector<Task*> fresh;
  std::set<const Path*> used;
  for (const auto& [key, task] : tasks_) {
    used.insert(task->path);
    if (!task->armed() && task->attempt == nullptr) fresh.push_back(task.get());
  }
  std::erase_if(paths_, [&](const auto& item) { return !used.contains(&item.second); });
  for (Task* task : fresh) {
    const milliseconds interval(task->context->check.timing.interval_ms);
    wheel_.Arm(*task, now + scheduler_.First(interval, fresh.size()));
  }
}

std::shared_ptr<const CheckContext> Engine::ContextOf(const PlannedVip& vip,
                                                      const model::HealthCheck& check) {
  auto context = std::make_shared<CheckContext>();
  context->vip = vip.key;
  context->check = check;
  context->address = model::ProbedAddress(vip.key, check);
  context->port = model::ProbedPort(vip.key, check);
  context->name = model::NameOf(check.kind);
  model::VipKey probed = vip.key;
  probed.address = context->address;
  context->prober = MakeProber(check.kind, probed, context->port);
  return context;
}

void Engine::KeepTasks(const PlannedVip& vip, const PlannedReal& real,
                       const std::vector<std::shared_ptr<const CheckContext>>& contexts, Time now) {
  std::unique_ptr<Member>& member = members_[{vip.key, real.address}];
  const bool fresh = member == nullptr;
  if (fresh) {
    member = std::make_unique<Member>(Member{.vip = vip.key,
                                             .real = real.address,
                                             .state = real.initial,
                                             .since = now,
                                             .tasks = {},
                                             .history = {}});
  }
  // A check more cannot take a real out before it has been made.
  const State initial = fresh ? real.initial : member->state;
  for (size_t i = 0; i < contexts.size(); ++i) {
    const model::HealthCheck& check = contexts[i]->check;
    if (i >= member->tasks.size()) {
      member->tasks.push_back(Attach(*member, contexts[i], initial, now));
      continue;
    }
    Task& task = *member->tasks[i];
    const model::HealthCheck& old = task.context->check;
    if (task.context->is_echo() || contexts[i]->is_echo()) {
      if (old == check) continue;
      member->tasks[i] = Attach(*member, contexts[i], initial, now);
      Detach(*member, task, now);
      continue;
    }
    if (old.kind != check.kind || old.port != check.port || old.address != check.address) {
      Abandon(task, now);
      task.last = {};
      task.last_at.reset();
      task.latencies = {};
    }
    task.context = contexts[i];
    task.machine.SetTiming(check.timing);
  }
  while (member->tasks.size() > contexts.size()) {
    Task* const task = member->tasks.back();
    member->tasks.pop_back();
    Detach(*member, *task, now);
  }
  for (Task* task : member->tasks) task->encap = real.encap;
  UpdateMember(*member, "its checks have changed", now);
}

Task* Engine::Attach(Member& member, std::shared_ptr<const CheckContext> context, State initial,
                     Time now) {
  // An echo of the real is the same for every VIP.
  Task** shared = nullptr;
  if (context->is_echo()) {
    shared = &shared_[{member.real, context->check.timing}];
    if (*shared != nullptr) {
      (*shared)->members.push_back(&member);
      return *shared;
    }
  }
  auto task = std::make_unique<Task>(context->check.timing, initial, on_task_timer_);
  Task* const added = task.get();
  task->context = std::move(context);
  task->real = member.real;
  task->path = &paths_[member.real];
  task->members = {&member};
  task->since = now;
  if (shared != nullptr) *shared = added;
  tasks_.emplace(added, std::move(task));
  return added;
}

void Engine::Detach(Member& member, Task& task, Time now) {
  // One of them only: a VIP may have the same check twice.
  task.members.erase(std::ranges::find(task.members, &member));
  if (!task.members.empty()) return;
  Abandon(task, now);
  if (task.context->is_echo()) shared_.erase({task.real, task.context->check.timing});
  tasks_.erase(&task);
}

void Engine::SetNetwork(const Network& network, Time now) {
  for (const dataplane::NextHopResult& hop : network.hops) {
    const auto path = paths_.find(hop.real);
    if (path == paths_.end()) continue;
    path->second.hop = hop.hop;
    path->second.problem = hop.problem;
    const auto attachment = std::ranges::find(network.attachments, hop.hop.interface,
                                              &dataplane::Attachment::interface);
    if (path->second.problem.empty() && attachment != network.attachments.end() &&
        !attachment->link_up) {
      path->second.problem = fmt::format("{} is down or has no carrier", hop.hop.interface);
    }
    if (!path->second.problem.empty()) path->second.problem_at = now;
  }
  const auto before = std::pair(source_v4_, source_v6_);
  SetSources(network);
  if (before != std::pair(source_v4_, source_v6_)) AbandonAll(now);
}

void Engine::SetSources(const Network& network) {
  const auto first = [&](bool v4) -> std::optional<IpAddress> {
    for (const dataplane::Attachment& attachment : network.attachments) {
      const auto addresses = network.addresses.find(attachment.interface);
      if (addresses == network.addresses.end()) continue;
      const auto found = std::ranges::find(addresses->second, v4, &IpAddress::is_v4);
      if (found != addresses->second.end()) return *found;
    }
    return std::nullopt;
  };
  source_v4_ = plan_.settings.source_v4 ? plan_.settings.source_v4 : first(true);
  source_v6_ = plan_.settings.source_v6 ? plan_.settings.source_v6 : first(false);
}

void Engine::AbandonAll(Time now) {
  for (auto& [key, task] : tasks_) Abandon(*task, now);
}

void Engine::Abandon(Task& task, Time now) {
  if (task.attempt == nullptr) return;
  Release(*task.attempt);
  wheel_.Arm(task, now + scheduler_.Next(task.machine.Interval()));
}

void Engine::Release(Attempt& attempt) {
  wheel_.Disarm(attempt);
  attempt.task->attempt = nullptr;
  TableOf(attempt.flow.source.is_v4()).Release(attempt);
}

std::string Engine::BlindReason(const Task& task) const {
  if (!task.path->problem.empty()) return task.path->problem;
  const bool v4 = task.inner_v4();
  const bool outer_v4 = task.real.is_v4();
  const auto missing = [](bool family_v4) {
    return fmt::format("no IPv{} address to probe from; set probes.source_v{}", family_v4 ? 4 : 6,
                       family_v4 ? 4 : 6);
  };
  if (!(v4 ? source_v4_ : source_v6_)) return missing(v4);
  const bool tunnelled = task.encap != model::Encap::kL2;
  if (tunnelled && !plan_.settings.dataplane_source && !(outer_v4 ? source_v4_ : source_v6_)) {
    return missing(outer_v4);
  }
  return wire_.Problem(task.path->hop.ifindex);
}

void Engine::Start(Task& task, Time now) {
  task.blind = BlindReason(task);
  if (!task.blind.empty()) {
    const auto retry = std::max<Duration>(kShortestBlindRetry,
                                          milliseconds(task.context->check.timing.fast_interval()));
    wheel_.Arm(task, now + scheduler_.Next(retry));
    return;
  }
  const StreamProber* stream = task.context->stream();
  if (stream != nullptr && stream->is_expensive() && !expensive_.Take(now)) {
    ++counters_.delayed;
    wheel_.Arm(task, now + scheduler_.Next(kTokenRetry));
    return;
  }
  Attempt* const attempt = TableOf(task.inner_v4()).Take();
  if (attempt == nullptr) {
    ++counters_.delayed;
    wheel_.Arm(task, now + kRoomRetry);
    return;
  }
  ++counters_.started;
  attempt->task = &task;
  task.attempt = attempt;
  Prepare(task, *attempt, now);
  Pump(*attempt, now);
}

void Engine::Prepare(Task& task, Attempt& attempt, Time now) {
  const CheckContext& context = *task.context;
  const dataplane::NextHop& hop = task.path->hop;
  const bool v4 = task.inner_v4();
  attempt.flow = {.source = v4 ? *source_v4_ : *source_v6_,
                  .destination = context.is_echo() ? task.real : context.address,
                  .source_port = attempt.port,
                  .destination_port = context.port};
  std::array<uint8_t, 44> identity{};
  std::ranges::copy(task.real.mapped(), identity.begin());
  std::ranges::copy(attempt.flow.destination.mapped(), identity.begin() + 16);
  const uint16_t ports[] = {attempt.port, context.port};
  std::memcpy(&identity[32], ports, sizeof(ports));
  const int64_t ticks = now.time_since_epoch().count();
  std::memcpy(&identity[36], &ticks, sizeof(ticks));
  attempt.cookie = SipHash24(secret_, identity);
  attempt.isn = static_cast<uint32_t>(attempt.cookie);
  attempt.route = {.source = hop.source, .destination = hop.destination, .tunnel = std::nullopt};
  if (!context.is_echo() && task.encap != model::Encap::kL2) {
    attempt.route.tunnel =
        Route::Tunnel{.source = OuterSource(task.real, attempt.isn),
                      .destination = task.real,
                      .encap = task.encap,
                      .source_port = static_cast<uint16_t>(kFirstOuterPort | attempt.isn >> 18),
                      .destination_port = plan_.gue_port};
  }
  attempt.context = task.context;
  attempt.ifindex = hop.ifindex;
  attempt.started = now;
  attempt.stalled_before = stalled_;
  attempt.sent = false;
  attempt.deadline = now + milliseconds(context.check.timing.timeout_ms);
  if (const DatagramProber* datagram = context.datagram()) {
    attempt.datagram = datagram;
    attempt.request = datagram->Request(attempt.cookie);
    attempt.send_at = now;
    attempt.send_again = kSendAgain;
    return;
  }
  const uint32_t headers = attempt.route.overhead() - kEthernet + (v4 ? 20 : 40) + kTcpHeader;
  const uint32_t room = hop.mtu > headers ? hop.mtu - headers : 0;
  attempt.tcp.Connect(attempt.isn, std::clamp(room, kMinMss, kMaxMss));
  attempt.stream = context.stream()->Start();
}

IpAddress Engine::OuterSource(const IpAddress& real, uint32_t hash) const {
  const bool v4 = real.is_v4();
  if (!plan_.settings.dataplane_source) return v4 ? *source_v4_ : *source_v6_;
  // As the forwarder does: of the last 32 bits those behind the prefix.
  const IpPrefix& prefix = v4 ? plan_.dataplane_source_v4 : plan_.dataplane_source_v6;
  const int bits = std::min((v4 ? 32 : 128) - prefix.length(), 32);
  IpAddress::Bytes bytes = prefix.address().mapped();
  for (int bit = 0; bit < bits; ++bit) {
    if ((hash >> bit & 1) != 0) bytes[15 - bit / 8] |= 1 << (bit % 8);
  }
  return IpAddress(bytes);
}

bool Engine::SendTcp(Attempt& attempt, const TcpHeader& header, Bytes payload) {
  const std::span<uint8_t> frame = wire_.Reserve(attempt.ifindex);
  if (frame.empty()) return false;
  wire_.Commit(WriteTcp(frame, attempt.route, attempt.flow, header, payload));
  attempt.sent = true;
  return true;
}

void Engine::Pump(Attempt& attempt, Time now) {
  Time next = attempt.deadline;
  const bool sent =
      attempt.datagram != nullptr ? PumpDatagram(attempt, now, next) : PumpTcp(attempt, now, next);
  if (!sent) {
    ++counters_.delayed;
    next = now + kRoomRetry;
  }
  wheel_.Arm(attempt, std::min(next, attempt.deadline));
}

bool Engine::PumpTcp(Attempt& attempt, Time now, Time& next) {
  const bool sent = attempt.tcp.Flush(now, [&](const TcpHeader& header, Bytes payload) {
    return SendTcp(attempt, header, payload);
  });
  if (const auto at = attempt.tcp.retransmit_at()) next = *at;
  return sent;
}

bool Engine::PumpDatagram(Attempt& attempt, Time now, Time& next) {
  next = attempt.send_at;
  if (now < attempt.send_at) return true;
  const std::span<uint8_t> frame = wire_.Reserve(attempt.ifindex);
  if (frame.empty()) return false;
  const Bytes request(reinterpret_cast<const uint8_t*>(attempt.request.data()),
                      attempt.request.size());
  wire_.Commit(attempt.datagram->is_echo() ? WriteEchoRequest(frame, attempt.route, attempt.flow,
                                                              attempt.port, kEchoSequence, request)
                                           : WriteUdp(frame, attempt.route, attempt.flow, request));
  attempt.sent = true;
  attempt.send_at = next = now + attempt.send_again;
  attempt.send_again *= 2;
  return true;
}

void Engine::OnAttemptTimer(Attempt& attempt, Time now) {
  if (now >= attempt.deadline) {
    Finish(attempt, TimeoutOf(attempt), now, now);
  } else {
    Pump(attempt, now);
  }
}

Outcome Engine::TimeoutOf(const Attempt& attempt) const {
  const std::string waited = HumanDuration(attempt.deadline - attempt.started);
  const std::string what = attempt.datagram != nullptr ? "no answer"
                           : attempt.tcp.state() == TcpClient::State::kConnecting
                               ? "SYN unanswered"
                               : attempt.stream->WaitingFor();
  return {Failure::kTimeout, fmt::format("timeout after {}, {}", waited, what)};
}

std::string Engine::ExcuseOf(const Attempt& attempt, Time now) {
  const Path& path = *attempt.task->path;
  if (!path.problem.empty()) return path.problem;
  if (path.problem_at >= attempt.started) return "its next hop changed during the probe";
  if (std::string problem = wire_.Problem(attempt.ifindex); !problem.empty()) return problem;
  if (!attempt.sent) return "there was no room to send the probe";
  const Duration stalled = stalled_ - attempt.stalled_before;
  if (stalled * 2 > attempt.deadline - attempt.started) {
    return fmt::format("the prober itself did not get to run for {}", HumanDuration(stalled));
  }
  return wire_.Loss(now);
}

void Engine::Finish(Attempt& attempt, Outcome outcome, Time at, Time now) {
  Task& task = *attempt.task;
  const TcpClient::State state = attempt.tcp.state();
  if (state == TcpClient::State::kOpen || state == TcpClient::State::kEnded) {
    if (SendTcp(attempt, attempt.tcp.FinalReset(), {})) {
      attempt.ended = {.address = attempt.flow.destination,
                       .port = attempt.flow.destination_port,
                       .isn = attempt.isn,
                       .at = now};
    }
  }
  std::string excuse;
  if (outcome.failure == Failure::kTimeout) excuse = ExcuseOf(attempt, now);
  const Time started = attempt.started;
  Release(attempt);

  task.blind = excuse;
  if (!excuse.empty()) {
    ++counters_.frozen;
  } else {
    task.last_at = now;
    if (outcome.ok()) {
      ++counters_.succeeded;
      task.latencies.Add(at - started);
      latency_.Add(at - started);
    } else {
      ++counters_.failed[static_cast<size_t>(outcome.failure)];
    }
    task.last = outcome;
    Judge(task, outcome, now);
  }
  Schedule(task, started, now);
}

void Engine::Judge(Task& task, const Outcome& outcome, Time now) {
  const bool changed = outcome.ok() ? task.machine.OnSuccess(now) : task.machine.OnFailure(now);
  if (!changed) return;
  task.since = now;
  for (Member* member : task.members) {
    UpdateMember(*member, Prefixed(task, outcome.ok() ? "ok" : outcome.reason), now);
  }
}

void Engine::Schedule(Task& task, Time started, Time now) {
  const Time next = started + scheduler_.Next(task.machine.Interval());
  wheel_.Arm(task, std::max<Time>(next, now + milliseconds(1)));
}

void Engine::UpdateMember(Member& member, std::string reason, Time now) {
  const State state = Worst(member.tasks);
  if (state == member.state) return;
  member.state = state;
  member.since = now;
  if (state == State::kUnknown) return;
  ++counters_.transitions;
  if (member.history.size() == Member::kHistory) member.history.erase(member.history.begin());
  member.history.push_back({.vip = member.vip,
                            .real = member.real,
                            .up = state == State::kUp,
                            .reason = std::move(reason),
                            .at = now});
  listener_(member.history.back());
}

Report Engine::MakeReport(const Scope& scope, Time now) const {
  Report report{.checks = {},
                .counters = counters_,
                .sockets = {},
                .latency = latency_,
                .source_v4 = source_v4_,
                .source_v6 = source_v6_,
                .now = now};
  for (const auto& table : {&table_v4_, &table_v6_}) {
    if (*table != nullptr) report.in_flight += (*table)->in_flight();
  }
  if (scope.detail == Detail::kTotals) return report;
  auto member = members_.begin();
  if (scope.vip) {
    member = members_.lower_bound({*scope.vip, IpAddress()});
  } else if (scope.detail != Detail::kBlind) {
    report.checks.reserve(tasks_.size());
  }
  for (; member != members_.end(); ++member) {
    if (scope.vip && member->first.first != *scope.vip) break;
    for (const Task* task : member->second->tasks) {
      if (scope.detail == Detail::kBlind && task->blind.empty()) continue;
      CheckReport& row = report.checks.emplace_back();
      row.vip = member->second->vip;
      row.real = member->second->real;
      row.check = task->context->name;
      row.port = task->context->port;
      row.state = task->machine.state();
      row.blind = task->blind;
      row.latency_micros = task->latencies.LastMicros();
      if (scope.detail >= Detail::kChecks) AddResults(*task, row);
      if (scope.detail == Detail::kHistory && task == member->second->tasks.front()) {
        row.history = member->second->history;
      }
    }
  }
  return report;
}

}  // namespace lb::health
