// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/convert_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "lbd/api/convert.h"

namespace lb::api {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

v1::HealthState ToProto(health::State state) {
  switch (state) {
    case health::State::kUnknown:
      return v1::HEALTH_STATE_UNKNOWN;
    case health::State::kUp:
      return v1::HEALTH_STATE_UP;
    case health::State::kDown:
      return v1::HEALTH_STATE_DOWN;
  }
  return v1::HEALTH_STATE_UNSPECIFIED;
}

uint64_t MillisBetween(health::Time from, health::Time to) {
  return std::max<int64_t>(0, duration_cast<milliseconds>(to - from).count());
}

v1::CheckHealth ToProto(const health::CheckReport& check, health::Time now, bool brief) {
  v1::CheckHealth proto;
  proto.set_check(std::string(check.check));
  proto.set_port(check.port);
  proto.set_state(ToProto(check.state));
  proto.set_blind(check.blind);
  if (brief) return proto;
  proto.set_state_milliseconds(MillisBetween(check.since, now));
  proto.set_in_a_row(check.in_a_row);
  if (check.last_at) {
    proto.set_last_milliseconds(MillisBetween(*check.last_at, now));
    proto.set_last_result(std::string(health::ToString(check.last.failure)));
    proto.set_last_reason(check.last.ok() ? check.last.warning : check.last.reason);
  }
  proto.set_p50_microseconds(check.p50_micros);
  proto.set_p99_microseconds(check.p99_micros);
  proto.set_next_milliseconds(MillisBetween(now, check.next_at));
  return proto;
}

v1::ProbeSocketStats ToProto(const health::SocketReport& socket) {
  v1::ProbeSocketStats proto;
  proto.set_interface(socket.interface);
  proto.set_problem(socket.problem);
  proto.set_queues(socket.queues);
  proto.set_zero_copy(socket.zero_copy);
  proto.set_tested(socket.tested);
  proto.set_rx_dropped(socket.rx_dropped);
  proto.set_rx_ring_full(socket.rx_ring_full);
  proto.set_fill_ring_empty(socket.fill_ring_empty);
  proto.set_tx_invalid(socket.tx_invalid);
  return proto;
}

v1::ProbeStats ToProto(const health::Report& report) {
  v1::ProbeStats proto;
  const health::Counters& counters = report.counters;
  proto.set_started(counters.started);
  proto.set_succeeded(counters.succeeded);
  for (size_t i = 1; i < counters.failed.size(); ++i) {
    if (counters.failed[i] == 0) continue;
    const auto failure = static_cast<health::Failure>(i);
    v1::ProbeFailures& row = *proto.add_failed();
    row.set_result(std::string(health::ToString(failure)));
    row.set_count(counters.failed[i]);
  }
  proto.set_frozen(counters.frozen);
  proto.set_delayed(counters.delayed);
  proto.set_transitions(counters.transitions);
  proto.set_malformed(counters.malformed);
  proto.set_rejected(counters.rejected);
  proto.set_late(counters.late);
  proto.set_resets(counters.resets);
  proto.set_in_flight(report.in_flight);
  for (const health::SocketReport& socket : report.sockets) *proto.add_sockets() = ToProto(socket);
  for (const uint32_t bound : health::LatencyHistogram::kBoundsMicros) {
    proto.add_latency_bounds_microseconds(bound);
  }
  for (const uint64_t count : report.latency.counts()) proto.add_latency_counts(count);
  proto.set_latency_sum_microseconds(report.latency.sum_micros());
  return proto;
}

// "850 ms", "5 min", "3 h"
std::string Span(health::Time from, health::Time to) {
  const uint64_t millis = MillisBetween(from, to);
  if (millis < 1000) return fmt::format("{} ms", millis);
  const uint64_t whole = millis / 1000;
  if (whole < 120) return fmt::format("{} s", whole);
  if (whole < 7200) return fmt::format("{} min", whole / 60);
  if (whole < 172'800) return fmt::format("{} h", whole / 3600);
  return fmt::format("{} d", whole / 86'400);
}

// What the last probe of a check found: "http: got 503, want 200-299 (2 s ago)".
std::string DescribeResult(const health::CheckReport& check, health::Time now) {
  if (!check.blind.empty()) return fmt::format("{}: blind: {}", check.check, check.blind);
  if (!check.last_at) return fmt::format("{}: not probed yet", check.check);
  const std::string& text = check.last.ok() ? check.last.warning : check.last.reason;
  return fmt::format("{}: {} ({} ago)", check.check, text.empty() ? "ok" : text,
                     Span(*check.last_at, now));
}

// By VIP and real.
using Checks = std::multimap<std::pair<model::VipKey, IpAddress>, const health::CheckReport*>;

v1::RealHealth RealToProto(const control::HealthBook::RealId& id,
                           const control::HealthReport& report, const Checks& checks,
                           const v1::GetHealthRequest& request) {
  v1::RealHealth proto;
  proto.set_address(id.second.ToString());
  const health::Time now = std::chrono::steady_clock::now();
  if (const control::HealthBook::Entry* entry = report.book.Find(id)) {
    proto.set_state(ToProto(entry->state));
    if (entry->override_) {
      proto.set_override_up(entry->override_->up);
      if (entry->override_->until) {
        proto.set_override_seconds(MillisBetween(now, *entry->override_->until) / 1000);
      }
    }
  }
  const auto [begin, end] = checks.equal_range(id);
  for (auto it = begin; it != end; ++it) {
    *proto.add_checks() = ToProto(*it->second, report.probes.now, request.brief());
    if (!request.history()) continue;
    for (const health::Transition& transition : it->second->history) {
      v1::HealthTransition& row = *proto.add_history();
      const auto age = duration_cast<std::chrono::system_clock::duration>(now - transition.at);
      *row.mutable_time() = TimeToProto(std::chrono::system_clock::now() - age);
      row.set_up(transition.up);
      row.set_reason(transition.reason);
    }
  }
  return proto;
}

// `checks`: of the blind ones among them.
bool InTrouble(const control::HealthBook::RealId& id, const control::HealthReport& report,
               const Checks& checks) {
  const control::HealthBook::Entry* entry = report.book.Find(id);
  return entry == nullptr || !entry->up() || entry->override_ || checks.contains(id);
}

}  // namespace

StatusOr<health::Scope> ScopeFromProto(const v1::GetHealthRequest& request) {
  if (request.brief() && request.history()) return InvalidArgument("history: not with brief");
  health::Scope scope{.detail = request.history() ? health::Detail::kHistory
                                : request.brief() ? health::Detail::kBlind
                                                  : health::Detail::kChecks};
  if (request.has_vip()) {
    LB_ASSIGN_OR_RETURN(scope.vip, VipKeyFromProto(request.vip(), "vip"));
  }
  return scope;
}

StatusOr<v1::GetHealthResponse> HealthToProto(const v1::GetHealthRequest& request,
                                              const control::HealthReport& report,
                                              const model::Config& config) {
  LB_ASSIGN_OR_RETURN(const health::Scope scope, ScopeFromProto(request));
  const std::optional<model::VipKey>& only = scope.vip;
  std::optional<IpAddress> real;
  if (only && config.FindVip(*only) == nullptr) return NotFound("no VIP " + only->ToString());
  if (!request.real().empty()) {
    LB_ASSIGN_OR_RETURN(real, AddressFromProto(request.real(), "real"));
  }
  Checks checks;
  for (const health::CheckReport& check : report.probes.checks) {
    checks.emplace(std::pair{check.vip, check.real}, &check);
  }
  v1::GetHealthResponse proto;
  proto.set_probing(report.probing);
  bool found = false;
  for (const model::Vip& vip : config.vips) {
    if (only && vip.key != *only) continue;
    const std::vector<model::Real> members = vip.AllReals();
    if (real && std::ranges::find(members, *real, &model::Real::address) == members.end()) continue;
    found = true;
    v1::VipHealth& row = *proto.add_vips();
    *row.mutable_vip() = ToProto(vip.key);
    row.set_name(vip.name);
    const control::HealthBook::Standing standing = report.book.StandingOf(vip);
    row.set_healthy(standing.healthy);
    row.set_min_healthy(vip.health.min_healthy);
    row.set_failed_open(standing.failed_open);
    for (const model::Real& member : members) {
      if (real && member.address != *real) continue;
      const control::HealthBook::RealId id{vip.key, member.address};
      if (request.brief() && !InTrouble(id, report, checks)) continue;
      *row.add_reals() = RealToProto(id, report, checks, request);
    }
  }
  if (real && !found) return NotFound("no VIP has the real " + real->ToString());
  *proto.mutable_probes() = ToProto(report.probes);
  return proto;
}

std::string DescribeHealth(const control::HealthReport& report, const model::VipKey& vip,
                           const IpAddress& real) {
  model::VipKey key = vip;
  key.route = 0;  // its health is under the VIP's key
  const control::HealthBook::Entry* entry = report.book.Find({key, real});
  if (entry == nullptr) return "not known: it is not in force yet";
  std::string checks;
  std::optional<health::Time> since;
  for (const health::CheckReport& check : report.probes.checks) {
    if (check.vip != key || check.real != real) continue;
    checks += (checks.empty() ? "" : ", ") + DescribeResult(check, report.probes.now);
    // The real is up since the last of them went up, and down since the first went down.
    if (check.state != entry->state) continue;
    const bool down = entry->state == health::State::kDown;
    since = !since ? check.since
            : down ? std::min(*since, check.since)
                   : std::max(*since, check.since);
  }
  std::string state{health::ToString(entry->state)};
  if (since) state += " for " + Span(*since, report.probes.now);
  if (checks.empty()) state = "not checked";
  if (!checks.empty()) state += ", " + checks;
  if (!entry->override_) return state;
  return fmt::format("set {} by an operator; otherwise {}", entry->override_->up ? "up" : "down",
                     state);
}

std::string DescribeProbing(const control::HealthReport& report, const model::Config& config) {
  if (config.probes.mode == model::HealthMode::kNone) return "off: health is none";
  if (!report.probing) return "off: no VIP has checks";
  uint32_t queues = 0;
  bool zero_copy = false;
  std::string problem;
  for (const health::SocketReport& socket : report.probes.sockets) {
    queues += socket.queues;
    zero_copy |= socket.zero_copy;
    if (!socket.problem.empty()) problem = socket.problem;
  }
  if (!problem.empty()) return "blind: " + problem;
  if (queues == 0) return "blind: no interface";
  return fmt::format("af_xdp in {} mode, {} queue{}", zero_copy ? "zero-copy" : "copy", queues,
                     queues == 1 ? "" : "s");
}

}  // namespace lb::api
