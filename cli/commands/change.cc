// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/change.h"

#include <fmt/format.h>

#include "cli/objects.h"
#include "cli/output.h"

namespace lb::cli {

void WriteOptions(const ChangeArguments& arguments, v1::ChangeOptions& options) {
  options.set_validate_only(arguments.dry_run);
  options.set_comment(arguments.comment);
  options.set_etag(arguments.etag);
  options.set_request_id(arguments.request_id);
  if (arguments.max_disruption) options.set_max_disruption(*arguments.max_disruption / 100);
  if (arguments.max_changes) options.set_max_changes(*arguments.max_changes);
}

void PrintResult(const Session& session, const v1::ChangeResult& result, uint64_t generation,
                 bool dry_run) {
  std::ostream& out = session.io.out;
  for (const std::string& change : result.changes()) out << change << '\n';
  if (result.changes().empty()) {
    out << "nothing to change\n";
    return;
  }
  if (dry_run && !result.disruptions().empty()) {
    Table table({{"VIP"}, {"SLOTS THAT MOVE", Align::kRight}, {"FLOWS LOST", Align::kRight}});
    for (const v1::VipDisruption& row : result.disruptions()) {
      table.Add({ToText(row.vip()), fmt::format("{:.2f} %", row.moved_slots() * 100),
                 HumanCount(row.lost_flows())});
    }
    out << '\n' << table.ToString(session.io.colour) << '\n';
  }
  const std::string count =
      fmt::format("{} change{}", result.changes_size(), result.changes_size() == 1 ? "" : "s");
  if (dry_run) {
    out << fmt::format("valid; would make {}\n", count);
    if (!result.etag().empty()) {
      out << fmt::format("make it only if nothing else changes before: --etag {}\n", result.etag());
    }
    return;
  }
  out << fmt::format("applied {}; generation {}\n", count, generation);
  if (result.has_confirm_by()) {
    out << fmt::format("goes back at {} unless confirmed: lbctl config confirm\n",
                       LocalTime(result.confirm_by()));
  }
}

}  // namespace lb::cli
