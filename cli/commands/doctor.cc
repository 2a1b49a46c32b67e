// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/commands/local_doctor.h"
#include "cli/commands/version.h"
#include "cli/output.h"

namespace lb::cli {
namespace {

using Level = v1::Finding::Level;

// So many findings of one check are listed without --all: where 500 VIPs are down, other findings
// should not be lost among them.
constexpr size_t kAlike = 5;

void Add(v1::DoctorResponse& response, std::string check, Level level, std::string message,
         std::string fix) {
  v1::Finding& finding = *response.add_findings();
  finding.set_check(std::move(check));
  finding.set_level(level);
  finding.set_message(std::move(message));
  finding.set_fix(std::move(fix));
}

Cell LevelCell(Level level) {
  switch (level) {
    case v1::Finding::LEVEL_OK:
      return Cell("ok", Colour::kGreen);
    case v1::Finding::LEVEL_WARN:
      return Cell("warn", Colour::kYellow);
    default:
      return Cell("FAIL", Colour::kRed);
  }
}

}  // namespace

v1::DoctorResponse Examine(const Session& session, const std::vector<std::string>& lbd_flags) {
  v1::DoctorResponse response;
  const auto status = session.client.GetBriefStatus();
  if (!status.ok()) {
    Add(response, "lbd", v1::Finding::LEVEL_FAIL, Message(status.status()),
        "systemctl status lbd; journalctl -u lbd");
    if (session.client.is_local()) {
      response.MergeFrom(ExamineHere(FindLbd(), session.client.server(), lbd_flags));
    }
    return response;
  }
  Add(response, "lbd", v1::Finding::LEVEL_OK, "answers at " + session.client.server(), "");
  if (status->version() != kVersion) {
    Add(response, "versions", v1::Finding::LEVEL_WARN,
        fmt::format("lbctl {} speaks to lbd {}", kVersion, status->version()),
        "install the same version of both");
  } else {
    Add(response, "versions", v1::Finding::LEVEL_OK, "lbctl and lbd are " + status->version(), "");
  }
  const auto remote = session.client.Call(v1::DoctorRequest());
  if (remote.ok()) {
    response.MergeFrom(*remote);
  } else {
    Add(response, "doctor", v1::Finding::LEVEL_FAIL, Message(remote.status()), "lbctl version");
  }
  return response;
}

Status Doctor(const Session& session, const DoctorArguments& arguments) {
  const v1::DoctorResponse response = Examine(session, arguments.lbd_flags);
  const auto count = [&](Level level) {
    return std::ranges::count(response.findings(), level, &v1::Finding::level);
  };
  const auto failed = count(v1::Finding::LEVEL_FAIL);
  if (!session.PrintForScript(response)) {
    Table table({{"LEVEL"}, {"CHECK"}, {"FOUND"}, {"DO"}});
    for (const Level level :
         {v1::Finding::LEVEL_FAIL, v1::Finding::LEVEL_WARN, v1::Finding::LEVEL_OK}) {
      if (level == v1::Finding::LEVEL_OK && !arguments.all) continue;
      std::map<std::string, size_t> alike;
      for (const v1::Finding& finding : response.findings()) {
        if (finding.level() != level) continue;
        if (++alike[finding.check()] > kAlike && !arguments.all) continue;
        table.Add({LevelCell(level), finding.check(), finding.message(), finding.fix()});
      }
      for (const auto& [check, found] : alike) {
        if (found <= kAlike || arguments.all) continue;
        table.Add({LevelCell(level), check, fmt::format("and {} more like these", found - kAlike),
                   "lbctl doctor --all"});
      }
    }
    if (!table.empty()) session.io.out << table.ToString(session.io.colour);
    session.io.out << fmt::format("{} ok, {} to look at, {} failed{}\n",
                                  count(v1::Finding::LEVEL_OK), count(v1::Finding::LEVEL_WARN),
                                  failed, arguments.all ? "" : "; all of them with --all");
  }
  if (failed == 0) return OkStatus();
  return FailedPrecondition(fmt::format("{} check{} failed", failed, failed == 1 ? "" : "s"));
}

}  // namespace lb::cli
