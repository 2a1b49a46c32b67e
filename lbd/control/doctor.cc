// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "lbd/control/probe_doctor.h"

namespace lb::control {
namespace {

using dataplane::Finding;
using dataplane::Level;

void Append(std::vector<Finding>& to, std::vector<Finding> findings) {
  std::ranges::move(findings, std::back_inserter(to));
}

// How a VIP whose reals are all out of service gets one.
std::string ToActivate(const model::Vip& vip) {
  const std::string key = vip.key.ToString();
  return vip.reals.empty()
             ? fmt::format("lbctl real add {} ADDRESS", key)
             : fmt::format("lbctl real activate {} {}", key, vip.reals[0].address.ToString());
}

void ExamineVips(const Snapshot& snapshot, const HealthBook& book, std::vector<Finding>& out) {
  size_t serving = 0;
  for (const dataplane::Service& service : snapshot.services) {
    if (std::ranges::any_of(*service.ring, [](uint16_t real) { return real != 0; })) {
      ++serving;
      continue;
    }
    const std::string key = service.vip.key.ToString();
    const size_t sick = book.Sick(service.vip).size();
    out.push_back({"vip", Level::kFail,
                   fmt::format("{} has no usable real: its packets are dropped{}", key,
                               sick == 0 ? "" : fmt::format("; {} are not up", sick)),
                   sick == 0 ? ToActivate(service.vip) : "lbctl health " + key});
  }
  if (serving > 0)
    out.push_back({"vip", Level::kOk, fmt::format("{} have usable reals", serving), ""});
}

// The most bytes by which a packet to each real grows.
std::map<IpAddress, int> Overheads(const Snapshot& snapshot) {
  std::map<IpAddress, int> overheads;
  for (const dataplane::Service& service : snapshot.services) {
    for (const model::Real& real : service.vip.reals) {
      int& most = overheads[real.address];
      most = std::max(most, model::EncapOverhead(real.encap, real.address.is_v4()));
    }
  }
  return overheads;
}

}  // namespace

std::vector<Finding> ExamineConfig(const model::Config& config) {
  if (config.vips.empty()) {
    return {
        {"configuration", Level::kWarn, "there is no VIP", "lbctl vip add, or lbctl config apply"}};
  }
  std::vector<Finding> out;
  if (config.settings.interfaces.empty()) {
    out.push_back({"configuration", Level::kFail, "interfaces is empty: nothing is forwarded",
                   "set interfaces in the document, and: lbctl config apply FILE"});
  }
  if (config.settings.has_default_hash_key()) {
    out.push_back({"hash key", Level::kWarn, "the public one: clients can choose their real",
                   "set hash_key to what this prints: openssl rand -hex 16"});
  } else {
    out.push_back({"hash key", Level::kOk, "your own", ""});
  }
  return out;
}

std::vector<Finding> ExamineInterfaces(const model::Settings& settings,
                                       std::span<const dataplane::Attachment> attachments,
                                       const dataplane::HostFacts& host) {
  std::vector<Finding> out;
  for (const std::string& name : settings.interfaces) {
    const auto info = dataplane::GetInterface(name);
    if (!info.ok()) {
      out.push_back({name + ": link", Level::kFail, Message(info.status()),
                     fmt::format("make {} again, or take it out of interfaces", name)});
      continue;
    }
    Append(out,
           ExamineInterface(dataplane::ReadInterfaceFacts(*info, attachments), host, settings));
  }
  return out;
}

std::vector<Finding> Examine(Controller& controller) {
  const auto snapshot = controller.snapshot();
  const DataplaneReport report = controller.Report();
  const dataplane::HostFacts host = dataplane::ReadHostFacts(report.pin_path);
  std::vector<Finding> out = ExamineHost(host);
  Append(out, ExamineInterfaces(snapshot->config.settings, report.attachments, host));
  Append(out, dataplane::ExamineNextHops(report.next_hops, Overheads(*snapshot)));
  const HealthReport health = controller.Health({.detail = health::Detail::kTotals});
  Append(out, ExamineProbes(snapshot->config, health, ReadProbeHost(snapshot->config.probes)));
  Append(out, ExamineConfig(snapshot->config));
  ExamineVips(*snapshot, health.book, out);
  Append(out, ExamineHealth(snapshot->config, health.book));
  return out;
}

}  // namespace lb::control
