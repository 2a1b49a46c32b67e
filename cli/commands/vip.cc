// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/vip.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/commands/real.h"
#include "cli/objects.h"
#include "cli/output.h"
#include "lbd/config/document_writer.h"

namespace lb::cli {
namespace {

bool NamesFlows(const VipArguments& arguments) {
  return arguments.window || arguments.idle || arguments.flow_entries;
}

void SetFlows(const VipArguments& arguments, v1::Flows& flows) {
  if (arguments.window) flows.set_window_seconds(*arguments.window);
  if (arguments.idle) flows.set_idle_seconds(*arguments.idle);
  if (arguments.flow_entries) flows.set_entries(*arguments.flow_entries);
}

bool NamesSources(const VipArguments& arguments) {
  return !arguments.allow.empty() || !arguments.deny.empty() || arguments.new_flows ||
         arguments.new_flows_per_source;
}

// Takes the parts that the arguments name.
Status SetSources(const VipArguments& arguments, v1::SourcePolicy& sources) {
  const auto set_list = [](const std::vector<std::string>& texts, std::string_view nothing,
                           google::protobuf::RepeatedPtrField<std::string>& list) {
    if (texts.empty()) return;
    list.Clear();
    for (const std::string& text : texts) {
      if (text != nothing) *list.Add() = text;
    }
  };
  set_list(arguments.allow, "all", *sources.mutable_allow());
  set_list(arguments.deny, "none", *sources.mutable_deny());
  if (arguments.new_flows) {
    LB_ASSIGN_OR_RETURN(*sources.mutable_new_flows(), ParseRate(*arguments.new_flows));
  }
  if (arguments.new_flows_per_source) {
    LB_ASSIGN_OR_RETURN(*sources.mutable_new_flows_per_source(),
                        ParseRate(*arguments.new_flows_per_source));
  }
  return OkStatus();
}

StatusOr<v1::Vip> Find(const Session& session, const v1::VipKey& key) {
  LB_ASSIGN_OR_RETURN(const v1::ListVipsResponse vips, session.client.Call(v1::ListVipsRequest()));
  const auto vip = std::ranges::find_if(
      vips.vips(), [&](const v1::Vip& other) { return SameVip(KeyOf(other), key); });
  if (vip == vips.vips().end()) {
    return NotFound(fmt::format("there is no VIP {}; see: lbctl vip list", ToText(key)));
  }
  return *vip;
}

// The VIP that the arguments describe.
StatusOr<v1::Vip> Build(const VipArguments& arguments) {
  LB_ASSIGN_OR_RETURN(const v1::VipKey key, ParseVip(arguments.vip));
  v1::Vip vip;
  vip.set_address(key.address());
  if (key.has_port()) vip.set_port(key.port());
  vip.set_any_port(key.any_port());
  if (key.has_last_port()) vip.set_last_port(key.last_port());
  vip.set_protocol(key.protocol());
  if (arguments.name) vip.set_name(*arguments.name);
  if (arguments.ring) {
    LB_ASSIGN_OR_RETURN(const v1::RingScheme scheme, ParseRingScheme(*arguments.ring));
    vip.mutable_ring()->set_scheme(scheme);
  }
  if (arguments.ring_bits) vip.mutable_ring()->set_bits(*arguments.ring_bits);
  if (arguments.hash) {
    LB_ASSIGN_OR_RETURN(const v1::HashPolicy policy, ParseHashPolicy(*arguments.hash));
    vip.set_hash(policy);
  }
  if (arguments.tracking) {
    LB_ASSIGN_OR_RETURN(const v1::Tracking tracking, ParseTracking(*arguments.tracking));
    vip.set_tracking(tracking);
  }
  if (NamesFlows(arguments)) SetFlows(arguments, *vip.mutable_flows());
  if (arguments.route_by_id) {
    LB_ASSIGN_OR_RETURN(*vip.mutable_route_by_id(), ParseRouteById(*arguments.route_by_id));
  }
  if (NamesSources(arguments)) {
    LB_RETURN_IF_ERROR(SetSources(arguments, *vip.mutable_sources()));
  }
  if (arguments.slow_start) vip.set_slow_start_seconds(*arguments.slow_start);
  for (const std::string& text : arguments.reals) {
    LB_ASSIGN_OR_RETURN(*vip.add_reals(), ParseReal(text));
  }
  return vip;
}

// The addresses that no next hop leads to.
StatusOr<std::set<std::string>> Unreachable(const Session& session) {
  LB_ASSIGN_OR_RETURN(const v1::GetStatusResponse status, session.client.GetBriefStatus());
  std::set<std::string> addresses;
  for (const v1::NextHopStatus& hop : status.next_hops()) {
    if (!hop.problem().empty()) addresses.insert(hop.real());
  }
  return addresses;
}

// By VIP, the addresses of reals that are not up, and get no traffic for it.
StatusOr<std::map<std::string, std::set<std::string>>> Sick(const Session& session) {
  LB_ASSIGN_OR_RETURN(const v1::GetHealthResponse health, session.client.GetBriefHealth());
  std::map<std::string, std::set<std::string>> sick;
  for (const v1::VipHealth& vip : health.vips()) {
    if (vip.failed_open()) continue;
    for (const v1::RealHealth& real : vip.reals()) {
      if (!IsUp(real)) sick[ToText(vip.vip())].insert(real.address());
    }
  }
  return sick;
}

// How many reals take traffic, of those that are not in `useless`: red without one, yellow when one
// that could does not.
Cell UsableCell(const v1::Vip& vip, const std::set<std::string>& useless) {
  const auto serves = [](const v1::Real& real, v1::RealState state) {
    return StateOf(real) == state && WeightOf(real) > 0;
  };
  const bool any_active = std::ranges::any_of(
      vip.reals(), [&](const v1::Real& real) { return serves(real, v1::REAL_STATE_ACTIVE); });
  const auto wanted = any_active ? v1::REAL_STATE_ACTIVE : v1::REAL_STATE_STANDBY;
  const auto usable = std::ranges::count_if(vip.reals(), [&](const v1::Real& real) {
    return serves(real, wanted) && !useless.contains(real.address());
  });
  const auto spare = std::ranges::count_if(vip.reals(), [&](const v1::Real& real) {
    return any_active && StateOf(real) == v1::REAL_STATE_STANDBY;
  });
  const Colour colour = usable == 0                           ? Colour::kRed
                        : usable + spare < vip.reals().size() ? Colour::kYellow
                                                              : Colour::kGreen;
  return Cell(fmt::format("{}", usable), colour);
}

std::string SlotsText(uint32_t slots, const v1::TrackingStats& tracking) {
  std::string text = HumanCount(slots);
  if (tracking.changing_slots() > 0) {
    text += fmt::format(", {} changing", HumanCount(tracking.changing_slots()));
  }
  if (tracking.settling_slots() > 0) {
    text += fmt::format(", {} settling", HumanCount(tracking.settling_slots()));
  }
  return text;
}

// "auto, window 10m 0s": the values that were chosen.
std::string TrackingText(const v1::Vip& vip) {
  std::string text = ToText(vip.tracking());
  if (vip.flows().has_window_seconds()) {
    text += ", window " + HumanDuration(vip.flows().window_seconds());
  }
  if (vip.flows().has_idle_seconds()) {
    text += ", idle " + HumanDuration(vip.flows().idle_seconds());
  }
  return text;
}

// "only 2 prefixes but 1, at most 100 new/s, 10 new/s each"
std::string SourcesText(const v1::SourcePolicy& sources) {
  std::string text = "all";
  if (sources.allow_size() > 0) text = fmt::format("only {} prefixes", sources.allow_size());
  if (sources.deny_size() > 0) text += fmt::format(" but {}", sources.deny_size());
  if (sources.new_flows().per_second() > 0) {
    text += fmt::format(", at most {} new/s", HumanCount(sources.new_flows().per_second()));
  }
  if (sources.new_flows_per_source().per_second() > 0) {
    text += fmt::format(", {} new/s each", HumanCount(sources.new_flows_per_source().per_second()));
  }
  return text;
}

std::string FlowsText(const v1::TrackingStats& tracking) {
  std::string text = tracking.flow_capacity() == 0
                         ? "none"
                         : fmt::format("{} of {}", HumanCount(tracking.flows()),
                                       HumanCount(tracking.flow_capacity()));
  if (tracking.flow_peak() > 0) text += fmt::format(" (peak {})", HumanCount(tracking.flow_peak()));
  return text;
}

}  // namespace

Status AddVip(const Session& session, const VipArguments& arguments) {
  v1::AddVipRequest request;
  WriteOptions(arguments.change, *request.mutable_options());
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), Build(arguments));
  LB_ASSIGN_OR_RETURN(const v1::AddVipResponse response, session.client.Call(request));
  ReportChange(session, arguments.change, response, "added " + ToText(KeyOf(request.vip())));
  return OkStatus();
}

Status UpdateVip(const Session& session, const VipArguments& arguments) {
  v1::UpdateVipRequest request;
  WriteOptions(arguments.change, *request.mutable_options());
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), Build(arguments));
  if (NamesFlows(arguments) || NamesSources(arguments)) {
    // lbd takes each as a whole.
    LB_ASSIGN_OR_RETURN(const v1::Vip before, Find(session, KeyOf(request.vip())));
    *request.mutable_vip()->mutable_flows() = before.flows();
    SetFlows(arguments, *request.mutable_vip()->mutable_flows());
    *request.mutable_vip()->mutable_sources() = before.sources();
    LB_RETURN_IF_ERROR(SetSources(arguments, *request.mutable_vip()->mutable_sources()));
  }
  auto& mask = *request.mutable_update_mask();
  if (arguments.name) mask.add_paths("name");
  if (arguments.ring) mask.add_paths("ring.scheme");
  if (arguments.ring_bits) mask.add_paths("ring.bits");
  if (arguments.hash) mask.add_paths("hash");
  if (arguments.tracking) mask.add_paths("tracking");
  if (NamesSources(arguments)) mask.add_paths("sources");
  if (NamesFlows(arguments)) mask.add_paths("flows");
  if (arguments.route_by_id) mask.add_paths("route_by_id");
  if (arguments.slow_start) mask.add_paths("slow_start_seconds");
  if (!arguments.reals.empty()) mask.add_paths("reals");
  LB_ASSIGN_OR_RETURN(const v1::UpdateVipResponse response, session.client.Call(request));
  ReportChange(session, arguments.change, response, "updated " + ToText(KeyOf(request.vip())));
  return OkStatus();
}

Status DeleteVip(const Session& session, const VipArguments& arguments) {
  v1::DeleteVipRequest request;
  WriteOptions(arguments.change, *request.mutable_options());
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), ParseVip(arguments.vip));
  auto response = session.client.Call(request);
  if (arguments.if_exists && absl::IsNotFound(response.status())) {
    if (session.PrintForScript(v1::DeleteVipResponse())) return OkStatus();
    session.io.out << ToText(request.vip()) << " does not exist\n";
    return OkStatus();
  }
  LB_RETURN_IF_ERROR(response.status());
  ReportChange(session, arguments.change, *response, "deleted " + ToText(request.vip()));
  return OkStatus();
}

Status ListVips(const Session& session) {
  LB_ASSIGN_OR_RETURN(const v1::ListVipsResponse response,
                      session.client.Call(v1::ListVipsRequest()));
  if (session.PrintForScript(response)) return OkStatus();
  if (session.names) {
    for (const v1::Vip& vip : response.vips()) session.io.out << ToText(KeyOf(vip)) << '\n';
    return OkStatus();
  }
  LB_ASSIGN_OR_RETURN(const std::set<std::string> unreachable, Unreachable(session));
  LB_ASSIGN_OR_RETURN(auto useless, Sick(session));
  std::vector<Column> columns = {
      {"VIP"}, {"NAME"}, {"REALS", Align::kRight}, {"USABLE", Align::kRight}, {"RING"}};
  if (session.wide) columns.insert(columns.end(), {{"TRACKING"}, {"SLOW START"}});
  Table table(std::move(columns));
  for (const v1::Vip& vip : response.vips()) {
    const std::string key = ToText(KeyOf(vip));
    useless[key].insert(unreachable.begin(), unreachable.end());
    std::vector<Cell> row = {key, vip.name(), fmt::format("{}", vip.reals_size()),
                             UsableCell(vip, useless[key]), ToText(vip.ring())};
    if (session.wide) {
      row.push_back(TrackingText(vip));
      row.push_back(vip.slow_start_seconds() == 0 ? "-" : HumanDuration(vip.slow_start_seconds()));
    }
    table.Add(std::move(row));
  }
  session.io.out << table.ToString(session.io.colour);
  return OkStatus();
}

Status ShowVip(const Session& session, const VipArguments& arguments) {
  LB_ASSIGN_OR_RETURN(const v1::VipKey key, ParseVip(arguments.vip));
  LB_ASSIGN_OR_RETURN(const v1::Vip vip, Find(session, key));
  v1::ListRealsRequest request;
  *request.mutable_vip() = key;
  LB_ASSIGN_OR_RETURN(const v1::ListRealsResponse reals, session.client.Call(request));
  LB_ASSIGN_OR_RETURN(const v1::GetStatsResponse stats, session.client.Call(v1::GetStatsRequest()));
  v1::TrackingStats tracking;
  v1::SourceStats refused;
  for (const v1::VipStats& row : stats.vips()) {
    if (!SameVip(row.vip(), key) || !row.source_route().empty()) continue;
    tracking = row.tracking();
    refused = row.sources();
  }
  if (session.format != Format::kTable) {
    nlohmann::ordered_json value = {{"vip", config::ToJson(vip, config::Fields::kAll)}};
    value["refused"] = config::ToJson(refused, config::Fields::kAll);
    value["tracking"] = config::ToJson(tracking, config::Fields::kAll);
    value.update(config::ToJson(reals, config::Fields::kAll));
    session.PrintForScript(value);
    return OkStatus();
  }
  Table head({{}, {}});
  head.Add({"VIP", ToText(key)});
  head.Add({"Name", vip.name().empty() ? "-" : vip.name()});
  head.Add({"Ring", ToText(vip.ring())});
  const uint32_t slots = reals.reals_size() > 0 ? reals.reals(0).ring_slots() : tracking.slots();
  head.Add({"Slots", SlotsText(slots, tracking)});
  head.Add({"Hash", ToText(vip.hash())});
  head.Add({"Tracking", TrackingText(vip)});
  head.Add({"Flows", FlowsText(tracking)});
  head.Add({"Slow start",
            vip.slow_start_seconds() == 0 ? "-" : HumanDuration(vip.slow_start_seconds())});
  for (const v1::SourceRoute& route : vip.source_routes()) {
    head.Add({"Source route", fmt::format("{}: {} prefixes to {} reals", route.name(),
                                          route.sources_size(), route.reals_size())});
  }
  if (vip.has_sources()) {
    head.Add({"Sources", SourcesText(vip.sources())});
    head.Add({"Refused", fmt::format("{} denied, {} beyond the rate, {} beyond their own rate",
                                     HumanCount(refused.denied()), HumanCount(refused.limited()),
                                     HumanCount(refused.source_limited()))});
  }
  session.io.out << head.ToString(session.io.colour) << '\n'
                 << RealTable({{ToText(key), reals}}, HealthFor(session, &key), /*with_vip=*/false)
                        .ToString(session.io.colour);
  return OkStatus();
}

}  // namespace lb::cli
