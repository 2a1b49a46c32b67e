// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/health_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace lb::control {
namespace {

using metrics::Metric;
using metrics::Samples;

void CollectStanding(const HealthBook& book, const model::Vip& group, std::string_view vip,
                     std::string_view route, const std::string& name, Samples& samples) {
  const HealthBook::Standing standing = book.StandingOf(group);
  samples.Add(Metric::kVipHealthy, {vip, route, name}, standing.healthy);
  samples.Add(Metric::kVipMinHealthy, {vip, route, name}, group.health.min_healthy);
  samples.Add(Metric::kVipFailedOpen, {vip, route, name}, standing.failed_open);
}

void CollectVip(const HealthBook& book, const model::Vip& vip, Samples& samples) {
  const std::string key = vip.key.ToString();
  CollectStanding(book, vip, key, "", vip.name, samples);
  for (const model::SourceRoute& route : vip.source_routes) {
    CollectStanding(book, model::RouteVip(vip, route), key, route.name, vip.name, samples);
  }
  int unknown = 0;
  for (const model::Real& real : vip.AllReals()) {
    const HealthBook::Entry* entry = book.Find({vip.key, real.address});
    if (entry == nullptr) continue;
    const std::string address = real.address.ToString();
    unknown += !entry->override_ && entry->state == health::State::kUnknown;
    samples.Add(Metric::kRealUp, {key, address}, entry->up());
    samples.Add(Metric::kRealOverridden, {key, address}, entry->override_.has_value());
  }
  samples.Add(Metric::kVipUnknown, {key, vip.name}, unknown);
}

// "http"; "http-2" where it is the second of its kind and port, such as of another path. `before`:
// those in front of it, of the same real at the end.
std::string LabelOf(const health::CheckReport& check, std::span<const health::CheckReport> before) {
  int number = 1;
  for (auto other = before.rbegin(); other != before.rend(); ++other) {
    if (other->vip != check.vip || other->real != check.real) break;
    number += other->check == check.check && other->port == check.port;
  }
  return number == 1 ? std::string(check.check) : fmt::format("{}-{}", check.check, number);
}

void CollectChecks(std::span<const health::CheckReport> checks, Samples& samples) {
  for (size_t i = 0; i < checks.size(); ++i) {
    const health::CheckReport& check = checks[i];
    const std::string name = LabelOf(check, checks.first(i));
    const std::string vip = check.vip.ToString();
    const std::string real = check.real.ToString();
    const std::string port = check.port != 0 ? std::to_string(check.port) : "";
    if (check.state != health::State::kUnknown) {
      samples.Add(Metric::kCheckUp, {vip, real, name, port}, check.state == health::State::kUp);
    }
    if (check.state == health::State::kUp && check.latency_micros) {
      samples.Add(Metric::kCheckLatency, {vip, real, name, port}, *check.latency_micros / 1e6);
    }
    samples.Add(Metric::kCheckBlind, {vip, real, name, port}, !check.blind.empty());
  }
}

void AddHistogram(Metric metric, const health::LatencyHistogram& histogram, Samples& samples) {
  constexpr auto& kBounds = health::LatencyHistogram::kBoundsMicros;
  std::array<double, kBounds.size()> bounds{};
  std::ranges::transform(kBounds, bounds.begin(), [](uint32_t micros) { return micros / 1e6; });
  samples.Add(metric, {}, bounds, histogram.counts(),
              static_cast<double>(histogram.sum_micros()) / 1e6);
}

void CollectProbes(const health::Report& report, Samples& samples) {
  const health::Counters& counters = report.counters;
  const auto count = [&](Metric metric, std::initializer_list<std::string_view> labels,
                         uint64_t value) {
    samples.Add(metric, labels, static_cast<double>(value));
  };
  count(Metric::kTransitions, {}, counters.transitions);
  count(Metric::kProbesStarted, {}, counters.started);
  count(Metric::kProbeResults, {health::ToString(health::Failure::kNone)}, counters.succeeded);
  for (size_t i = 1; i < counters.failed.size(); ++i) {
    count(Metric::kProbeResults, {health::ToString(static_cast<health::Failure>(i))},
          counters.failed[i]);
  }
  count(Metric::kProbesFrozen, {}, counters.frozen);
  count(Metric::kProbesDelayed, {}, counters.delayed);
  count(Metric::kProbeFrames, {"malformed"}, counters.malformed);
  count(Metric::kProbeFrames, {"rejected"}, counters.rejected);
  count(Metric::kProbeFrames, {"late"}, counters.late);
  count(Metric::kProbeResets, {}, counters.resets);
  count(Metric::kProbesInFlight, {}, report.in_flight);
  AddHistogram(Metric::kProbeSeconds, report.latency, samples);
}

void CollectSockets(std::span<const health::SocketReport> sockets, Samples& samples) {
  for (const health::SocketReport& socket : sockets) {
    samples.Add(Metric::kSocketQueues, {socket.interface, socket.zero_copy ? "zero_copy" : "copy"},
                socket.queues);
    samples.Add(Metric::kSocketProblem, {socket.interface}, !socket.problem.empty());
    samples.Add(Metric::kSocketTested, {socket.interface}, socket.tested);
    const auto dropped = [&](std::string_view reason, uint64_t frames) {
      samples.Add(Metric::kSocketDropped, {socket.interface, reason}, static_cast<double>(frames));
    };
    dropped("rx_other", socket.rx_dropped);
    dropped("rx_ring_full", socket.rx_ring_full);
    dropped("fill_ring_empty", socket.fill_ring_empty);
    dropped("tx_invalid", socket.tx_invalid);
  }
}

}  // namespace

void CollectHealth(const HealthReport& report, const model::Config& config, Samples& samples) {
  const auto works = [](const health::SocketReport& socket) { return socket.problem.empty(); };
  samples.Add(Metric::kProbing, {model::ToString(config.probes.mode)},
              report.probing && std::ranges::any_of(report.probes.sockets, works));
  for (const model::Vip& vip : config.vips) CollectVip(report.book, vip, samples);
  if (!report.probing) return;
  CollectChecks(report.probes.checks, samples);
  CollectProbes(report.probes, samples);
  AddHistogram(Metric::kReactionSeconds, report.reactions, samples);
  CollectSockets(report.probes.sockets, samples);
}

}  // namespace lb::control
