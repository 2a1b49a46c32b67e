// SPDX-License-Identifier: Apache-2.0
// The verbs of lbctl config that deal with revisions.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cli/commands/change.h"
#include "cli/commands/config.h"
#include "cli/objects.h"
#include "cli/output.h"

namespace lb::cli {
namespace {

bool IsRevision(const std::string& word) {
  return !word.empty() && word.size() < 20 &&
         std::ranges::all_of(word, [](unsigned char c) { return std::isdigit(c) != 0; });
}

Status DiffFile(const Session& session, const std::string& file) {
  ConfigArguments arguments;
  arguments.file = file;
  arguments.change.dry_run = true;
  return ApplyConfig(session, arguments);
}

}  // namespace

Status ConfirmConfig(const Session& session, const ConfigArguments& arguments) {
  v1::ConfirmConfigRequest request;
  request.set_etag(arguments.etag);
  LB_ASSIGN_OR_RETURN(const v1::ConfirmConfigResponse response, session.client.Call(request));
  if (session.PrintForScript(response)) return OkStatus();
  session.io.out << fmt::format("confirmed; generation {} stays\n", response.generation());
  return OkStatus();
}

Status DiffConfig(const Session& session, const ConfigArguments& arguments) {
  const auto& sides = arguments.sides;
  if (sides.size() == 1 && !IsRevision(sides[0])) return DiffFile(session, sides[0]);
  v1::DiffConfigRequest request;
  for (const std::string& side : sides) {
    if (!IsRevision(side)) {
      return InvalidArgument(
          fmt::format("\"{}\" is no revision; want one or two revisions, or one file", side));
    }
  }
  if (sides.size() == 2) request.set_to(std::stoull(sides[1]));
  if (!sides.empty()) request.set_from(std::stoull(sides[0]));
  LB_ASSIGN_OR_RETURN(const v1::DiffConfigResponse response, session.client.Call(request));
  if (session.PrintForScript(response)) return OkStatus();
  for (const std::string& line : response.changes()) session.io.out << line << '\n';
  if (response.changes().empty()) session.io.out << "no difference\n";
  return OkStatus();
}

Status ShowHistory(const Session& session, const ConfigArguments& arguments) {
  v1::ListRevisionsRequest request;
  if (arguments.limit) request.set_limit(*arguments.limit);
  LB_ASSIGN_OR_RETURN(const v1::ListRevisionsResponse response, session.client.Call(request));
  if (session.PrintForScript(response)) return OkStatus();
  Table table(
      {{"REVISION", Align::kRight}, {"TIME"}, {"AUTHOR"}, {"CHANGES", Align::kRight}, {"COMMENT"}});
  for (const v1::Revision& revision : response.revisions()) {
    std::string comment = revision.comment();
    if (revision.has_confirm_by()) {
      comment = fmt::format("[waits to be confirmed until {}] {}", LocalTime(revision.confirm_by()),
                            comment);
    }
    table.Add({fmt::format("{}", revision.generation()), LocalTime(revision.time()),
               revision.author(), HumanCount(revision.changes_size()), comment});
  }
  session.io.out << table.ToString(session.io.colour);
  return OkStatus();
}

Status RollbackConfig(const Session& session, const ConfigArguments& arguments) {
  v1::RollbackConfigRequest request;
  if (arguments.revision) request.set_revision(*arguments.revision);
  WriteOptions(arguments.change, *request.mutable_options());
  LB_ASSIGN_OR_RETURN(const v1::RollbackConfigResponse response, session.client.Call(request));
  if (session.PrintForScript(response)) return OkStatus();
  PrintResult(session, response.result(), response.generation(), arguments.change.dry_run);
  return OkStatus();
}

Status ReloadConfig(const Session& session, const ConfigArguments& arguments) {
  v1::ReloadConfigRequest request;
  WriteOptions(arguments.change, *request.mutable_options());
  const auto response = session.client.Call(request);
  if (absl::IsInvalidArgument(response.status())) {
    session.io.err << Message(response.status()) << '\n';
    return InvalidArgument("lbd refused the document; the configuration in force is unchanged");
  }
  LB_RETURN_IF_ERROR(response.status());
  if (session.PrintForScript(*response)) return OkStatus();
  PrintResult(session, response->result(), response->generation(), arguments.change.dry_run);
  return OkStatus();
}

}  // namespace lb::cli
