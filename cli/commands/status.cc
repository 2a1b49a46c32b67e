// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/status.h"

#include <fmt/format.h>

#include "cli/objects.h"
#include "cli/output.h"

namespace lb::cli {
namespace {

Table Attachments(const v1::GetStatusResponse& status) {
  Table table({{"INTERFACE"}, {"MODE"}, {"ATTACH"}, {"LINK"}, {"PROGRAM", Align::kRight}});
  for (const v1::Attachment& attachment : status.attachments()) {
    table.Add({attachment.interface(), ToText(attachment.mode()), ToText(attachment.attach()),
               attachment.link_up() ? Cell("up", Colour::kGreen) : Cell("down", Colour::kRed),
               fmt::format("{}", attachment.program_id())});
  }
  return table;
}

Table NextHopProblems(const v1::GetStatusResponse& status) {
  Table table({{"REAL"}, {"VIA"}, {"INTERFACE"}, {"PROBLEM"}});
  const auto or_dash = [](const std::string& text) { return text.empty() ? "-" : text; };
  for (const v1::NextHopStatus& hop : status.next_hops()) {
    if (hop.problem().empty()) continue;
    table.Add({hop.real(), or_dash(hop.via()), or_dash(hop.interface()),
               Cell(hop.problem(), Colour::kRed)});
  }
  return table;
}

Table Summary(const v1::GetStatusResponse& status) {
  Table table({{}, {}});
  const uint32_t without = status.vips_without_real();
  table.Add({"Version", fmt::format("lbd {} on Linux {}", status.version(), status.kernel())});
  table.Add({"Uptime", HumanDuration(status.uptime_seconds())});
  table.Add({"Configuration", fmt::format("generation {}, {} old", status.generation(),
                                          HumanDuration(status.config_age_seconds()))});
  table.Add({"VIPs", without == 0
                         ? Cell(HumanCount(status.vips()))
                         : Cell(fmt::format("{}, {} without a usable real",
                                            HumanCount(status.vips()), HumanCount(without)),
                                Colour::kRed)});
  const uint32_t down = status.reals_down();
  table.Add({"Reals", down == 0 ? Cell(HumanCount(status.reals()))
                                : Cell(fmt::format("{}, {} down by their checks",
                                                   HumanCount(status.reals()), HumanCount(down)),
                                       Colour::kRed)});
  table.Add({"Probing", status.probing()});
  if (!status.metrics_listen().empty()) {
    table.Add({"Metrics", fmt::format("http://{}/metrics", status.metrics_listen())});
  }
  table.Add({"Memory", fmt::format("{} BPF maps, {} resident", HumanBytes(status.map_bytes()),
                                   HumanBytes(status.resident_bytes()))});
  return table;
}

}  // namespace

Status ShowStatus(const Session& session) {
  LB_ASSIGN_OR_RETURN(const v1::GetStatusResponse status,
                      session.format == Format::kTable
                          ? session.client.GetBriefStatus()
                          : session.client.Call(v1::GetStatusRequest()));
  if (session.PrintForScript(status)) return OkStatus();
  std::ostream& out = session.io.out;
  const bool colour = session.io.colour;
  out << Summary(status).ToString(colour) << '\n';
  if (const Table table = Attachments(status); !table.empty()) {
    out << table.ToString(colour);
  } else {
    out << Paint("Attached to no interface", Colour::kYellow, colour) << '\n';
  }
  if (const Table table = NextHopProblems(status); !table.empty()) {
    out << '\n' << table.ToString(colour);
  }
  if (!status.warnings().empty()) out << '\n';
  for (const std::string& warning : status.warnings()) {
    out << Paint("warning:", Colour::kYellow, colour) << ' ' << Cell::Printable(warning) << '\n';
  }
  return OkStatus();
}

}  // namespace lb::cli
