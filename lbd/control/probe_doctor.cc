// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/probe_doctor.h"

#include <fmt/format.h>

#include <algorithm>

#include "lbd/dataplane/interface.h"

namespace lb::control {
namespace {

using dataplane::Finding;
using dataplane::Level;

// The first VIP whose checks need an address of each family to come from.
struct SourceNeeds {
  const model::Vip* v4 = nullptr;
  const model::Vip* v6 = nullptr;

  void Note(bool is_v4, const model::Vip& vip) {
    const model::Vip*& first = is_v4 ? v4 : v6;
    if (first == nullptr) first = &vip;
  }
};

SourceNeeds NeedsOf(const model::Config& config) {
  SourceNeeds needs;
  for (const model::Vip& vip : config.vips) {
    for (const model::HealthCheck& check : vip.checks) {
      const bool echo = std::holds_alternative<model::IcmpCheck>(check.kind);
      if (!echo) needs.Note(vip.key.address.is_v4(), vip);
      for (const model::Real& real : vip.AllReals()) {
        // An echo goes to the real itself; all else in the tunnel to it, if there is one.
        const bool outer = real.encap != model::Encap::kL2 && !config.probes.dataplane_source;
        if (echo || outer) needs.Note(real.address.is_v4(), vip);
      }
    }
  }
  return needs;
}

void ExamineSources(const model::Config& config, const health::Report& report,
                    const ProbeHost& host, std::vector<Finding>& out) {
  const SourceNeeds needs = NeedsOf(config);
  const auto& interfaces = config.settings.interfaces;
  const std::string interface = interfaces.empty() ? "DEV" : interfaces.front();
  bool all = true;
  const auto examine = [&](int family, const model::Vip* vip,
                           const std::optional<IpAddress>& source) {
    if (vip == nullptr) return;
    const bool foreign = source && std::ranges::count(host.foreign_sources, *source) > 0;
    if (source && !foreign) return;
    all = false;
    if (foreign) {
      out.push_back({"probes: source", Level::kFail,
                     fmt::format("no interface of this host has {}, which is probes.source_v{}: "
                                 "what reals answer does not come here",
                                 source->ToString(), family),
                     fmt::format("ip addr add {}/{} dev {}", source->ToString(),
                                 family == 4 ? 32 : 128, interface)});
      return;
    }
    out.push_back(
        {"probes: source", Level::kFail,
         fmt::format("no IPv{} address to probe from, which {} needs, for its own address "
                     "or for its reals",
                     family, vip->key.ToString()),
         fmt::format("ip addr add ADDRESS/{} dev {}, or set probes.source_v{}",
                     family == 4 ? 24 : 64, interface, family)});
  };
  examine(4, needs.v4, report.source_v4);
  examine(6, needs.v6, report.source_v6);
  if (!all) return;
  std::string text;
  for (const auto& source : {report.source_v4, report.source_v6}) {
    if (source) text += (text.empty() ? "" : ", ") + source->ToString();
  }
  out.push_back({"probes: source", Level::kOk, text, ""});
}

void ExamineSocket(const health::SocketReport& socket, std::vector<Finding>& out) {
  const std::string check = socket.interface + ": probes";
  if (!socket.problem.empty()) {
    // What to do stands behind the problem, where that is known.
    const size_t end = socket.problem.find("; ");
    out.push_back({check, Level::kFail, socket.problem.substr(0, end),
                   end == std::string::npos
                       ? fmt::format("ip link show {}; lbctl status", socket.interface)
                       : socket.problem.substr(end + 2)});
  } else if (!socket.tested) {
    out.push_back({check, Level::kWarn,
                   fmt::format("it could not be tried whether the XDP program hands answers of all "
                               "{} queues over",
                               socket.queues),
                   "lbctl health; checks that succeed show that answers come"});
  } else {
    out.push_back({check, Level::kOk,
                   fmt::format("{} queues, {}", socket.queues,
                               socket.zero_copy ? "without copies" : "by copying"),
                   ""});
  }
}

}  // namespace

ProbeHost ReadProbeHost(const model::ProbeSettings& settings) {
  ProbeHost host{.clash = health::FindPortClash(settings.first_port, settings.last_port),
                 .foreign_sources = {}};
  for (const auto& source : {settings.source_v4, settings.source_v6}) {
    if (source && !dataplane::HasAddress(*source)) host.foreign_sources.push_back(*source);
  }
  return host;
}

std::vector<Finding> ExamineProbes(const model::Config& config, const HealthReport& report,
                                   const ProbeHost& host) {
  const auto checked =
      std::ranges::count_if(config.vips, [](const model::Vip& vip) { return !vip.checks.empty(); });
  if (checked == 0) {
    return {{"probes", Level::kOk, "no VIP has checks: every real counts as up", ""}};
  }
  if (config.probes.mode == model::HealthMode::kNone) {
    return {
        {"probes", Level::kWarn,
         fmt::format("health is none: the checks of {} VIPs are not made, and their reals count "
                     "as up, dead or not",
                     checked),
         "take \"health: none\" out of the document, and: lbctl config apply FILE"}};
  }
  std::vector<Finding> out;
  if (!report.probing) {
    out.push_back({"probes", Level::kFail, "this lbd does not probe", "systemctl restart lbd"});
    return out;
  }
  out.push_back({"probes", Level::kOk, fmt::format("{} VIPs have checks", checked), ""});
  ExamineSources(config, report.probes, host, out);
  if (host.clash) {
    out.push_back({"probes: ports", Level::kFail, host.clash->problem, host.clash->fix});
  } else {
    out.push_back({"probes: ports", Level::kOk,
                   fmt::format("{}-{}, which the host itself leaves alone",
                               config.probes.first_port, config.probes.last_port),
                   ""});
  }
  for (const health::SocketReport& socket : report.probes.sockets) ExamineSocket(socket, out);
  return out;
}

std::vector<Finding> ExamineHealth(const model::Config& config, const HealthBook& book) {
  std::vector<Finding> out;
  for (const model::Vip& vip : config.vips) {
    const HealthBook::Standing standing = book.StandingOf(vip);
    if (standing.up || vip.checks.empty()) continue;
    const std::string key = vip.key.ToString();
    out.push_back(
        {"health", standing.failed_open ? Level::kFail : Level::kWarn,
         fmt::format(
             "{}: {} of {} needed reals are healthy{}", key, standing.healthy,
             vip.health.min_healthy,
             standing.failed_open ? ": it has failed open, so dead reals get traffic, too" : ""),
         "lbctl health " + key});
  }
  return out;
}

}  // namespace lb::control
