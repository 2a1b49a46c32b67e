// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/plane_watch.h"

#include <fmt/format.h>

#include <utility>

namespace lb::control {
namespace {

std::string Describe(const dataplane::Attachment& attachment) {
  if (attachment.program_id == 0) return "no program";
  return fmt::format("program {} in {} mode, link {}", attachment.program_id,
                     model::ToString(attachment.mode), attachment.link_up ? "up" : "down");
}

std::string Describe(const dataplane::NextHopResult& hop) {
  if (!hop.problem.empty()) return "no next hop: " + hop.problem;
  return fmt::format("next hop {} on {}", hop.hop.destination.ToString(), hop.hop.interface);
}

}  // namespace

void PlaneWatch::Look(const dataplane::Dataplane& plane) {
  LookAtAttachments(plane);
  LookAtNextHops(plane);
  LookAtWarnings(plane);
}

void PlaneWatch::LookAtAttachments(const dataplane::Dataplane& plane) {
  std::map<std::string, std::string> now;
  for (const dataplane::Attachment& attachment : plane.Attachments()) {
    now[attachment.interface] = Describe(attachment);
  }
  for (const auto& [interface, text] : now) {
    const auto before = attachments_.find(interface);
    if (before != attachments_.end() && before->second == text) continue;
    hub_.Publish({.kind = events::Kind::kAttach, .object = interface, .message = text});
  }
  for (const auto& [interface, text] : attachments_) {
    if (now.contains(interface)) continue;
    hub_.Publish({.kind = events::Kind::kAttach, .object = interface, .message = "detached"});
  }
  attachments_ = std::move(now);
}

void PlaneWatch::LookAtNextHops(const dataplane::Dataplane& plane) {
  std::map<IpAddress, std::string> now;
  for (const dataplane::NextHopResult& hop : plane.NextHops()) now[hop.real] = Describe(hop);
  for (const auto& [real, text] : now) {
    const auto before = next_hops_.find(real);
    if (before != next_hops_.end() && before->second == text) continue;
    hub_.Publish(
        {.kind = events::Kind::kNextHop, .object = "real " + real.ToString(), .message = text});
  }
  next_hops_ = std::move(now);
}

void PlaneWatch::LookAtWarnings(const dataplane::Dataplane& plane) {
  std::set<std::string> now;
  for (std::string& warning : plane.Warnings()) now.insert(std::move(warning));
  for (const std::string& warning : now) {
    if (warnings_.contains(warning)) continue;
    hub_.Publish({.kind = events::Kind::kWarning, .message = warning});
  }
  for (const std::string& warning : warnings_) {
    if (now.contains(warning)) continue;
    hub_.Publish({.kind = events::Kind::kWarning, .message = "over: " + warning});
  }
  warnings_ = std::move(now);
}

}  // namespace lb::control
