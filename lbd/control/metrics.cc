// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/metrics.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <array>
#include <set>
#include <utility>

#include "lbd/control/health_metrics.h"
#include "lbd/model/find_route.h"

namespace lb::control {
namespace {

using metrics::Metric;
using metrics::Samples;

constexpr std::chrono::seconds kPatience{2};
constexpr model::RealState kStates[] = {model::RealState::kActive, model::RealState::kDraining,
                                        model::RealState::kDown, model::RealState::kStandby};

std::string KernelRelease() {
  utsname name{};
  uname(&name);
  return name.release;
}

void CollectConfig(const Snapshot& snapshot, Samples& samples) {
  samples.Add(Metric::kGeneration, {}, static_cast<double>(snapshot.generation));
  if (snapshot.generation == 0) return;
  const std::chrono::duration<double> applied = snapshot.time.time_since_epoch();
  samples.Add(Metric::kApplied, {}, applied.count());
  samples.Add(Metric::kUnconfirmed, {}, snapshot.confirm_by.has_value());
}

void CollectReport(const DataplaneReport& report, Samples& samples) {
  samples.Add(Metric::kWarnings, {}, static_cast<double>(report.warnings.size()));
  for (const dataplane::Attachment& attachment : report.attachments) {
    samples.Add(Metric::kInterfaceAttached,
                {attachment.interface, model::ToString(attachment.mode)},
                attachment.program_id != 0);
    samples.Add(Metric::kInterfaceUp, {attachment.interface}, attachment.link_up);
  }
  for (const dataplane::NextHopResult& hop : report.next_hops) {
    samples.Add(Metric::kNextHopResolved, {hop.real.ToString()}, hop.problem.empty());
  }
  for (const auto& [map, bytes] : report.map_bytes) {
    samples.Add(Metric::kMapBytes, {map}, static_cast<double>(bytes));
  }
}

// What identifies a group of reals: a VIP, or one of its source routes.
struct Group {
  std::string vip;
  std::string route;  // name; empty: the VIP's own reals
  std::string name;   // of the VIP
};

Group GroupOf(model::VipKey key, const model::Config& config) {
  const uint16_t route = std::exchange(key.route, uint16_t{0});
  Group group{.vip = key.ToString()};
  const model::Vip* vip = config.FindVip(key);
  if (vip == nullptr) return group;
  group.name = vip->name;
  const model::SourceRoute* found = model::FindRoute(*vip, route);
  if (found != nullptr) group.route = found->name;
  return group;
}

void CollectService(const dataplane::Service& service, const std::vector<model::Real>& configured,
                    const Group& group, const std::set<IpAddress>& unresolved, Samples& samples) {
  const auto& [vip, route, name] = group;
  const std::vector<uint32_t> slots = service.SlotsPerReal();
  std::array<int, std::size(kStates)> by_state{};
  int serving = 0;
  for (size_t i = 0; i < configured.size(); ++i) {
    const model::Real& real = configured[i];
    ++by_state[static_cast<size_t>(real.state)];
    serving += slots[i] > 0 && !unresolved.contains(real.address);
    samples.Add(Metric::kRealSlots, {vip, route, real.address.ToString()}, slots[i]);
  }
  for (const model::RealState state : kStates) {
    samples.Add(Metric::kVipReals, {vip, route, name, model::ToString(state)},
                by_state[static_cast<size_t>(state)]);
  }
  samples.Add(Metric::kVipServing, {vip, route, name}, serving);
}

void CollectVip(const dataplane::VipCounters& counters, const Group& group, Samples& samples) {
  const auto& [vip, route, name] = group;
  const auto add = [&](Metric metric, uint64_t value) {
    samples.Add(metric, {vip, route, name}, static_cast<double>(value));
  };
  add(Metric::kVipPackets, counters.total.packets);
  add(Metric::kVipBytes, counters.total.bytes);
  add(Metric::kVipConnections, counters.total.connections);
  add(Metric::kVipDropped, counters.total.dropped);
  const dataplane::TrackingStats& tracking = counters.tracking;
  add(Metric::kVipFlows, tracking.flows);
  add(Metric::kVipFlowCapacity, tracking.flow_capacity);
  const uint32_t moving = tracking.changing_slots + tracking.settling_slots;
  samples.Add(Metric::kVipSlots, {vip, route, name, "stable"}, tracking.slots - moving);
  samples.Add(Metric::kVipSlots, {vip, route, name, "changing"}, tracking.changing_slots);
  samples.Add(Metric::kVipSlots, {vip, route, name, "settling"}, tracking.settling_slots);
  if (route.empty()) {
    const auto refused = [&](std::string_view reason, uint64_t packets) {
      samples.Add(Metric::kVipRefused, {vip, name, reason}, static_cast<double>(packets));
    };
    refused("denied", counters.sources.denied);
    refused("limited", counters.sources.limited);
    refused("source_limited", counters.sources.source_limited);
  }
  for (const dataplane::RealCounter& real : counters.reals) {
    const std::string address = real.address.ToString();
    const auto add_real = [&](Metric metric, uint64_t value) {
      samples.Add(metric, {vip, route, address}, static_cast<double>(value));
    };
    add_real(Metric::kRealPackets, real.counter.packets);
    add_real(Metric::kRealBytes, real.counter.bytes);
    add_real(Metric::kRealConnections, real.counter.connections);
    add_real(Metric::kRealDropped, real.counter.dropped);
    add_real(Metric::kRealFlows, real.flows);
  }
}

void CollectStats(const dataplane::Stats& stats, const model::Config& config, Samples& samples) {
  for (const dataplane::VerdictCounter& verdict : stats.verdicts) {
    samples.Add(Metric::kVerdictPackets, {verdict.verdict, verdict.action},
                static_cast<double>(verdict.packets));
  }
  for (const dataplane::NoteCounter& note : stats.notes) {
    samples.Add(Metric::kNotePackets, {note.note}, static_cast<double>(note.packets));
  }
  for (size_t cpu = 0; cpu < stats.cpu_packets.size(); ++cpu) {
    samples.Add(Metric::kCpuPackets, {std::to_string(cpu)},
                static_cast<double>(stats.cpu_packets[cpu]));
  }
  for (const dataplane::VipCounters& counters : stats.vips) {
    CollectVip(counters, GroupOf(counters.key, config), samples);
  }
  const auto event = [&](std::string_view name, uint64_t count) {
    samples.Add(Metric::kFlowEvents, {name}, static_cast<double>(count));
  };
  event("insert", stats.flow_table.inserted);
  event("evict", stats.flow_table.evicted);
  event("refuse", stats.flow_table.refused);
  samples.Add(Metric::kProgramRuns, {}, static_cast<double>(stats.program.runs));
  samples.Add(Metric::kProgramSeconds, {}, static_cast<double>(stats.program.run_nanos) / 1e9);
}

}  // namespace

void CollectMetrics(Controller& controller, std::string_view version, Samples& samples) {
  const auto snapshot = controller.snapshot();
  const DataplaneReport report = controller.Report();
  samples.Add(Metric::kBuildInfo, {version, KernelRelease()}, 1);
  CollectConfig(*snapshot, samples);
  CollectReport(report, samples);
  std::set<IpAddress> unresolved;
  for (const dataplane::NextHopResult& hop : report.next_hops) {
    if (!hop.problem.empty()) unresolved.insert(hop.real);
  }
  for (const dataplane::Service& service : snapshot->services) {
    CollectService(service, snapshot->ConfiguredReals(service.vip.key),
                   GroupOf(service.vip.key, snapshot->config), unresolved, samples);
  }
  CollectStats(controller.ReadStats(), snapshot->config, samples);
  CollectHealth(controller.Health({.detail = health::Detail::kStates}), snapshot->config, samples);
}

std::vector<std::string> NotAlive(Controller& controller) {
  if (controller.Responds(kPatience)) return {};
  return {fmt::format("the control thread has not answered for {} s", kPatience.count())};
}

std::vector<std::string> NotReady(Controller& controller) {
  // A thread that hangs would hang whoever asks it for more.
  if (auto problems = NotAlive(controller); !problems.empty()) return problems;
  if (controller.snapshot()->generation == 0) return {"no configuration is in force"};
  const DataplaneReport report = controller.Report();
  if (report.attachments.empty()) return {"attached to no interface"};
  std::vector<std::string> problems;
  for (const dataplane::Attachment& attachment : report.attachments) {
    if (attachment.program_id == 0) {
      problems.push_back(fmt::format("{}: the program is not attached", attachment.interface));
    } else if (!attachment.link_up) {
      problems.push_back(fmt::format("{}: the link is down", attachment.interface));
    }
  }
  return problems;
}

}  // namespace lb::control
