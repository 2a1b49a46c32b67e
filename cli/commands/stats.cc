// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/objects.h"
#include "cli/output.h"
#include "lbd/config/document_writer.h"

namespace lb::cli {
namespace {

Table VipTable(const v1::GetStatsResponse& stats) {
  Table table({{"VIP"},
               {"NAME"},
               {"REAL"},
               {"PACKETS", Align::kRight},
               {"BYTES", Align::kRight},
               {"DROPPED", Align::kRight}});
  const auto add = [&](const std::string& vip, const std::string& name, const std::string& real,
                       const v1::Counter& counter) {
    const Colour colour = counter.dropped() > 0 ? Colour::kRed : Colour::kNone;
    table.Add({vip, name, real, HumanCount(counter.packets()), HumanBytes(counter.bytes()),
               Cell(HumanCount(counter.dropped()), colour)});
  };
  for (const v1::VipStats& vip : stats.vips()) {
    const std::string route = vip.source_route();
    add(ToText(vip.vip()), route.empty() ? vip.name() : "from " + route, "all", vip.total());
    for (const v1::RealStats& real : vip.reals()) add("", "", real.address(), real.counter());
  }
  return table;
}

Table VerdictTable(const v1::GetStatsResponse& stats, bool all) {
  Table table({{"VERDICT"}, {"ACTION"}, {"PACKETS", Align::kRight}, {"MEANING"}});
  for (const v1::VerdictStats& verdict : stats.verdicts()) {
    if (!all && verdict.packets() == 0) continue;
    const Colour colour = verdict.action() == "drop" ? Colour::kRed : Colour::kNone;
    table.Add({verdict.verdict(), Cell(verdict.action(), colour), HumanCount(verdict.packets()),
               verdict.description()});
  }
  return table;
}

Table NoteTable(const v1::GetStatsResponse& stats, bool all) {
  Table table({{"NOTE"}, {"PACKETS", Align::kRight}, {"MEANING"}});
  for (const v1::NoteStats& note : stats.notes()) {
    if (!all && note.packets() == 0) continue;
    table.Add({note.note(), HumanCount(note.packets()), note.description()});
  }
  return table;
}

bool AnyNotes(const v1::GetStatsResponse& stats) {
  return std::ranges::any_of(stats.notes(),
                             [](const v1::NoteStats& note) { return note.packets() > 0; });
}

// Leaves only the counters of `vip`.
Status KeepOnly(const v1::VipKey& vip, v1::GetStatsResponse& stats) {
  v1::GetStatsResponse kept;
  for (const v1::VipStats& other : stats.vips()) {
    if (SameVip(other.vip(), vip)) *kept.add_vips() = other;
  }
  if (kept.vips().empty()) {
    return NotFound(fmt::format("there is no VIP {}; see: lbctl vip list", ToText(vip)));
  }
  stats = std::move(kept);
  return OkStatus();
}

}  // namespace

Status ShowStats(const Session& session, const StatsArguments& arguments) {
  LB_ASSIGN_OR_RETURN(v1::GetStatsResponse stats, session.client.Call(v1::GetStatsRequest()));
  if (!arguments.vip.empty()) {
    LB_ASSIGN_OR_RETURN(const v1::VipKey vip, ParseVip(arguments.vip));
    LB_RETURN_IF_ERROR(KeepOnly(vip, stats));
  }
  if (session.PrintForScript(stats)) return OkStatus();
  session.io.out << VipTable(stats).ToString(session.io.colour);
  if (arguments.vip.empty()) {
    session.io.out << '\n' << VerdictTable(stats, arguments.all).ToString(session.io.colour);
    if (arguments.all || AnyNotes(stats)) {
      session.io.out << '\n' << NoteTable(stats, arguments.all).ToString(session.io.colour);
    }
  }
  return OkStatus();
}

namespace {

// Where packets were dropped that got as far as a VIP.
Table DropTable(const v1::GetStatsResponse& stats) {
  Table table({{"VIP"}, {"REAL"}, {"DROPPED", Align::kRight}});
  for (const v1::VipStats& vip : stats.vips()) {
    const auto add = [&](const std::string& real, uint64_t dropped) {
      const std::string route = vip.source_route().empty() ? "" : " from " + vip.source_route();
      if (dropped > 0) table.Add({ToText(vip.vip()) + route, real, HumanCount(dropped)});
    };
    uint64_t at_vip = vip.total().dropped();
    for (const v1::RealStats& real : vip.reals()) at_vip -= real.counter().dropped();
    add("", at_vip);
    for (const v1::RealStats& real : vip.reals()) add(real.address(), real.counter().dropped());
  }
  return table;
}

// What a verdict's packets are to an operator.
std::string Heading(const v1::VerdictHelp& help, uint64_t packets, bool colour) {
  const Colour of = help.action() != "drop" ? Colour::kNone
                    : packets > 0           ? Colour::kRed
                                            : Colour::kYellow;
  return fmt::format("{} ({}, {} packets)\n", Paint(help.verdict(), of, colour), help.action(),
                     HumanCount(packets));
}

}  // namespace

Status ShowDrops(const Session& session, const StatsArguments& arguments) {
  LB_ASSIGN_OR_RETURN(const v1::ListVerdictsResponse help,
                      session.client.Call(v1::ListVerdictsRequest()));
  LB_ASSIGN_OR_RETURN(const v1::GetStatsResponse stats, session.client.Call(v1::GetStatsRequest()));
  std::map<std::string, uint64_t> packets;
  for (const v1::VerdictStats& verdict : stats.verdicts()) {
    packets[verdict.verdict()] = verdict.packets();
  }
  if (session.format != Format::kTable) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const v1::VerdictHelp& row : help.verdicts()) {
      nlohmann::ordered_json value = config::ToJson(row, config::Fields::kAll);
      value["packets"] = packets[row.verdict()];
      rows.push_back(std::move(value));
    }
    session.PrintForScript(nlohmann::ordered_json{{"verdicts", std::move(rows)}});
    return OkStatus();
  }
  bool any = false;
  for (const v1::VerdictHelp& row : help.verdicts()) {
    const uint64_t count = packets[row.verdict()];
    if (!arguments.all && (count == 0 || row.action() != "drop")) continue;
    session.io.out << (any ? "\n" : "") << Heading(row, count, session.io.colour) << "  "
                   << row.description() << "\n  Usually: " << row.cause()
                   << "\n  Do:      " << row.next_step() << '\n';
    any = true;
  }
  const Table where = DropTable(stats);
  if (!where.empty()) session.io.out << '\n' << where.ToString(session.io.colour);
  if (!any) session.io.out << "nothing was dropped; --all explains every verdict\n";
  return OkStatus();
}

}  // namespace lb::cli
