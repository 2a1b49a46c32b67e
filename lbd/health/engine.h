// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lbd/base/siphash.h"
#include "lbd/health/attempt.h"
#include "lbd/health/plan.h"
#include "lbd/health/report.h"
#include "lbd/health/scheduler.h"
#include "lbd/health/task.h"
#include "lbd/health/timer_wheel.h"
#include "lbd/health/wire.h"

namespace lb::health {

// Probes: starts them in their time, matches answers to them, and decides which reals are up. It
// does no I/O and reads no clock: frames and the time are given to it. Belongs to one thread.
class Engine {
 public:
  using Listener = std::function<void(const Transition&)>;

  // `secret` is random: by it answers are told from forgeries. `wire` outlives this.
  Engine(Wire& wire, const HashKey& secret, Listener listener, Time now);
  ~Engine();

  // Goes on as `plan` says. Checks that stay keep their state.
  void SetPlan(const Plan& plan, Time now);
  void SetNetwork(const Network& network, Time now);
  // Where probes come from now, by family; empty: nowhere.
  const std::optional<IpAddress>& source_v4() const { return source_v4_; }
  const std::optional<IpAddress>& source_v6() const { return source_v6_; }

  // A frame that came at `received`.
  void OnFrame(Bytes frame, Time received, Time now);
  // Does what is due. To be called at NextAt() at the latest.
  void Advance(Time now) { wheel_.Advance(now); }
  Time NextAt(Time now, Duration limit) const { return wheel_.NextWithin(now, limit); }
  // This thread did not get to run for so long: what timed out meanwhile is nobody's fault.
  void NoteStall(Duration stall) { stalled_ += stall; }

  // Probes a second that the plan asks for.
  double rate() const { return rate_; }
  // All but the sockets.
  Report MakeReport(const Scope& scope, Time now) const;

 private:
  using MemberKey = std::pair<model::VipKey, IpAddress>;

  void SetSources(const Network& network);
  // Ends all probes under way without a verdict; they start again.
  void AbandonAll(Time now);
  void Abandon(Task& task, Time now);
  static std::shared_ptr<const CheckContext> ContextOf(const PlannedVip& vip,
                                                       const model::HealthCheck& check);
  void KeepTasks(const PlannedVip& vip, const PlannedReal& real,
                 const std::vector<std::shared_ptr<const CheckContext>>& contexts, Time now);
  // The task of a check that `member` did not have.
  Task* Attach(Member& member, std::shared_ptr<const CheckContext> context, State initial,
               Time now);
  // `member` no longer has this task.
  void Detach(Member& member, Task& task, Time now);

  void Start(Task& task, Time now);
  // Why a probe of the task would say nothing; empty: it would.
  std::string BlindReason(const Task& task) const;
  void Prepare(Task& task, Attempt& attempt, Time now);
  IpAddress OuterSource(const IpAddress& real, uint32_t hash) const;
  AttemptTable& TableOf(bool v4) { return v4 ? *table_v4_ : *table_v6_; }
  void Release(Attempt& attempt);

  void OnTcp(const Packet& packet, Time received, Time now);
  void OnUdp(const Packet& packet, Time received, Time now);
  void OnIcmp(const Packet& packet, Time received, Time now);
  void OnEchoReply(const Packet& packet, const IcmpMessage& message, Time received, Time now);
  // The probe that sent what an ICMP error quotes; null: none did.
  Attempt* FindQuoted(const Packet& quoted);
  void OnAttemptTimer(Attempt& attempt, Time now);
  bool OnForeignSource(Attempt& attempt, const Packet& packet, const TcpSegment& segment,
                       Time received, Time now);
  // Sends what there is to send, and sets the timer.
  void Pump(Attempt& attempt, Time now);
  bool PumpTcp(Attempt& attempt, Time now, Time& next);
  bool PumpDatagram(Attempt& attempt, Time now, Time& next);
  bool SendTcp(Attempt& attempt, const TcpHeader& header, Bytes payload);
  // A segment that is not of the probe of its port, and counts as `counter` says unless it is late.
  void OnStray(Attempt& attempt, const Packet& packet, const TcpSegment& segment, uint64_t& counter,
               Time now);
  // Whether the segment was under way when our reset ended its connection.
  static bool WasUnderWay(const Attempt& attempt, const Packet& packet, const TcpSegment& segment,
                          Time now);
  // Answers a segment that does not belong to the probe of its port, so that its sender gives up.
  void Reset(Attempt& attempt, const Packet& packet, const TcpSegment& segment, Time now);

  // The probe is over. Frees its place.
  void Finish(Attempt& attempt, Outcome outcome, Time at, Time now);
  // Why a time-out of this probe is no verdict; empty: it is one.
  std::string ExcuseOf(const Attempt& attempt, Time now);
  Outcome TimeoutOf(const Attempt& attempt) const;
  void Judge(Task& task, const Outcome& outcome, Time now);
  void Schedule(Task& task, Time started, Time now);
  void UpdateMember(Member& member, std::string reason, Time now);

  Wire& wire_;
  HashKey secret_;
  Listener listener_;
  TimerWheel wheel_;
  Attempt::OnTimer on_attempt_timer_;
  Task::OnTimer on_task_timer_;
  Scheduler scheduler_;
  TokenBucket resets_;
  TokenBucket expensive_;
  Plan plan_;
  double rate_ = 0;
  std::optional<IpAddress> source_v4_;
  std::optional<IpAddress> source_v6_;
  std::map<IpAddress, Path> paths_;
  std::map<MemberKey, std::unique_ptr<Member>> members_;
  std::map<Task*, std::unique_ptr<Task>> tasks_;
  std::map<std::pair<IpAddress, model::CheckTiming>, Task*> shared_;  // of icmp
  std::unique_ptr<AttemptTable> table_v4_;
  std::unique_ptr<AttemptTable> table_v6_;
  Counters counters_;
  LatencyHistogram latency_;
  Duration stalled_{};  // in all
};

}  // namespace lb::health
