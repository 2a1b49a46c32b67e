// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/real.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/objects.h"
#include "lbd/config/document_writer.h"

namespace lb::cli {
namespace {

Cell StateCell(const v1::Real& real) {
  const std::string text = ToText(real.state());
  switch (StateOf(real)) {
    case v1::REAL_STATE_ACTIVE:
      return Cell(text, Colour::kGreen);
    case v1::REAL_STATE_DRAINING:
      return Cell(text, Colour::kYellow);
    case v1::REAL_STATE_DOWN:
      return Cell(text, Colour::kRed);
    default:
      return Cell(text);
  }
}

Cell HealthCell(const v1::RealHealth& real) {
  if (real.has_override_up()) {
    return Cell(real.override_up() ? "set up" : "set down", Colour::kYellow);
  }
  if (real.checks().empty()) return Cell("-");
  const bool blind = std::ranges::any_of(
      real.checks(), [](const v1::CheckHealth& check) { return !check.blind().empty(); });
  const std::string suffix = blind ? ", blind" : "";
  switch (real.state()) {
    case v1::HEALTH_STATE_UP:
      return Cell("up" + suffix, blind ? Colour::kYellow : Colour::kGreen);
    case v1::HEALTH_STATE_DOWN:
      return Cell("down" + suffix, Colour::kRed);
    default:
      return Cell("unknown" + suffix, Colour::kYellow);
  }
}

}  // namespace

Status AddReal(const Session& session, const RealArguments& arguments) {
  v1::AddRealRequest request;
  WriteOptions(arguments.change, *request.mutable_options());
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), ParseVip(arguments.vip));
  LB_ASSIGN_OR_RETURN(*request.mutable_real(), ParseReal(arguments.address));
  if (arguments.weight) request.mutable_real()->set_weight(*arguments.weight);
  if (arguments.server_id) request.mutable_real()->set_server_id(*arguments.server_id);
  if (arguments.state) {
    LB_ASSIGN_OR_RETURN(const v1::RealState state, ParseRealState(*arguments.state));
    request.mutable_real()->set_state(state);
  }
  if (arguments.encap) {
    LB_ASSIGN_OR_RETURN(const v1::Encapsulation encap, ParseEncap(*arguments.encap));
    request.mutable_real()->set_encap(encap);
  }
  LB_ASSIGN_OR_RETURN(const v1::AddRealResponse response, session.client.Call(request));
  ReportChange(session, arguments.change, response,
               "added " + RealName(request.vip(), request.real().address()));
  return OkStatus();
}

Status UpdateReal(const Session& session, const RealArguments& arguments) {
  v1::UpdateRealRequest request;
  WriteOptions(arguments.change, *request.mutable_options());
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), ParseVip(arguments.vip));
  LB_ASSIGN_OR_RETURN(*request.mutable_real(), ParseReal(arguments.address));
  if (arguments.weight) {
    request.mutable_real()->set_weight(*arguments.weight);
    request.mutable_update_mask()->add_paths("weight");
  }
  if (arguments.server_id) {
    request.mutable_real()->set_server_id(*arguments.server_id);
    request.mutable_update_mask()->add_paths("server_id");
  }
  if (arguments.state) {
    LB_ASSIGN_OR_RETURN(const v1::RealState state, ParseRealState(*arguments.state));
    request.mutable_real()->set_state(state);
    request.mutable_update_mask()->add_paths("state");
  }
  if (arguments.encap) {
    LB_ASSIGN_OR_RETURN(const v1::Encapsulation encap, ParseEncap(*arguments.encap));
    request.mutable_real()->set_encap(encap);
    request.mutable_update_mask()->add_paths("encap");
  }
  LB_ASSIGN_OR_RETURN(const v1::UpdateRealResponse response, session.client.Call(request));
  ReportChange(session, arguments.change, response,
               "updated " + RealName(request.vip(), request.real().address()));
  return OkStatus();
}

Status ActivateReal(const Session& session, const RealArguments& arguments) {
  v1::UpdateRealRequest request;
  WriteOptions(arguments.change, *request.mutable_options());
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), ParseVip(arguments.vip));
  LB_ASSIGN_OR_RETURN(*request.mutable_real(), ParseReal(arguments.address));
  request.mutable_real()->set_state(v1::REAL_STATE_ACTIVE);
  request.mutable_update_mask()->add_paths("state");
  LB_ASSIGN_OR_RETURN(const v1::UpdateRealResponse response, session.client.Call(request));
  ReportChange(session, arguments.change, response,
               "activated " + RealName(request.vip(), request.real().address()));
  return OkStatus();
}

Status DeleteReal(const Session& session, const RealArguments& arguments) {
  v1::DeleteRealRequest request;
  WriteOptions(arguments.change, *request.mutable_options());
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), ParseVip(arguments.vip));
  request.set_address(arguments.address);
  const auto response = session.client.Call(request);
  if (arguments.if_exists && absl::IsNotFound(response.status())) {
    if (session.PrintForScript(v1::DeleteRealResponse())) return OkStatus();
    session.io.out << RealName(request.vip(), request.address()) << " does not exist\n";
    return OkStatus();
  }
  LB_RETURN_IF_ERROR(response.status());
  ReportChange(session, arguments.change, *response,
               "deleted " + RealName(request.vip(), request.address()));
  return OkStatus();
}

Status ListReals(const Session& session, const RealArguments& arguments) {
  std::vector<v1::VipKey> keys;
  if (!arguments.vip.empty()) {
    LB_ASSIGN_OR_RETURN(keys.emplace_back(), ParseVip(arguments.vip));
  } else {
    LB_ASSIGN_OR_RETURN(const v1::ListVipsResponse vips,
                        session.client.Call(v1::ListVipsRequest()));
    for (const v1::Vip& vip : vips.vips()) keys.push_back(KeyOf(vip));
  }
  std::vector<std::pair<std::string, v1::ListRealsResponse>> vips;
  for (const v1::VipKey& key : keys) {
    v1::ListRealsRequest request;
    *request.mutable_vip() = key;
    auto response = session.client.Call(request);
    // Deleted since the VIPs were listed.
    if (arguments.vip.empty() && absl::IsNotFound(response.status())) continue;
    LB_RETURN_IF_ERROR(response.status());
    vips.emplace_back(ToText(key), *std::move(response));
  }
  if (session.names) {
    for (const auto& [vip, reals] : vips) {
      for (const v1::RealStatus& real : reals.reals()) {
        session.io.out << vip << ' ' << real.real().address() << '\n';
      }
    }
    return OkStatus();
  }
  if (session.format == Format::kTable) {
    const auto health = HealthFor(session, arguments.vip.empty() ? nullptr : &keys[0]);
    session.io.out
        << RealTable(vips, health, /*with_vip=*/true, session.wide).ToString(session.io.colour);
    return OkStatus();
  }
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const auto& [vip, reals] : vips) {
    for (const v1::RealStatus& real : reals.reals()) {
      nlohmann::ordered_json row = {{"vip", vip}};
      row.update(config::ToJson(real, config::Fields::kAll));
      rows.push_back(std::move(row));
    }
  }
  session.PrintForScript(nlohmann::ordered_json{{"reals", std::move(rows)}});
  return OkStatus();
}

v1::GetHealthResponse HealthFor(const Session& session, const v1::VipKey* vip) {
  v1::GetHealthRequest request;
  if (vip != nullptr) *request.mutable_vip() = *vip;
  return session.client.Call(request).value_or(v1::GetHealthResponse());
}

Table RealTable(const std::vector<std::pair<std::string, v1::ListRealsResponse>>& vips,
                const v1::GetHealthResponse& health, bool with_vip, bool wide) {
  std::map<std::pair<std::string, std::string>, Cell> health_of;
  for (const v1::VipHealth& vip : health.vips()) {
    for (const v1::RealHealth& real : vip.reals()) {
      health_of.emplace(std::pair(ToText(vip.vip()), real.address()), HealthCell(real));
    }
  }
  std::vector<Column> columns = {{"ADDRESS"},
                                 {"WEIGHT", Align::kRight},
                                 {"STATE"},
                                 {"ENCAP"},
                                 {"SLOTS", Align::kRight},
                                 {"SHARE", Align::kRight},
                                 {"FLOWS", Align::kRight},
                                 {"NEXT HOP"}};
  const auto behind_state = [](auto& columns_or_cells) { return columns_or_cells.begin() + 3; };
  if (health.probing()) columns.insert(behind_state(columns), {"HEALTH"});
  if (with_vip) columns.insert(columns.begin(), {"VIP"});
  if (wide) columns.insert(columns.end(), {{"LEAVING", Align::kRight}, {"DEADLINE"}});
  Table table(std::move(columns));
  for (const auto& [vip, reals] : vips) {
    for (const v1::RealStatus& status : reals.reals()) {
      const v1::Real& real = status.real();
      const std::string& problem = status.next_hop_problem();
      std::vector<Cell> row = {
          real.address(),
          fmt::format("{}", WeightOf(real)),
          StateCell(real),
          ToText(real.encap()),
          HumanCount(status.slots()),
          HumanShare(status.slots(), status.ring_slots()),
          HumanCount(status.flows()),
          problem.empty() ? Cell("ok", Colour::kGreen) : Cell(problem, Colour::kRed)};
      if (health.probing()) {
        const auto known = health_of.find({vip, real.address()});
        row.insert(behind_state(row), known != health_of.end() ? known->second : Cell("-"));
      }
      if (with_vip) row.insert(row.begin(), vip);
      if (wide) {
        row.push_back(HumanCount(status.leaving_slots()));
        row.push_back(real.has_drain_seconds() ? HumanDuration(real.drain_seconds()) : "-");
      }
      table.Add(std::move(row));
    }
  }
  return table;
}

}  // namespace lb::cli
