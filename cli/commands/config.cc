// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/change.h"
#include "cli/import.h"
#include "cli/input.h"
#include "lbd/config/document.h"
#include "lbd/config/document_writer.h"
#include "lbd/config/file_source.h"
#include "lbd/config/json_schema.h"

namespace lb::cli {

Status ApplyConfig(const Session& session, const ConfigArguments& arguments) {
  LB_ASSIGN_OR_RETURN(const std::string text, ReadInput(arguments.file, session.io));
  const std::string name = arguments.file == "-" ? "<stdin>" : arguments.file;
  v1::ApplyConfigRequest request;
  WriteOptions(arguments.change, *request.mutable_options());
  if (arguments.confirm_within) request.set_confirm_within_seconds(*arguments.confirm_within);
  const auto document = config::ParseDocument(text, name, *request.mutable_config());
  if (!document.ok()) {
    session.io.err << Message(document.status()) << '\n';
    return InvalidArgument("the document has errors; the configuration in force is unchanged");
  }
  const auto response = session.client.Call(request);
  if (absl::IsInvalidArgument(response.status())) {
    session.io.err << document.Annotate(Message(response.status())) << '\n';
    return InvalidArgument("lbd refused the document; the configuration in force is unchanged");
  }
  if (!response.ok()) {
    return Status(response.status().code(), document.Annotate(Message(response.status())));
  }
  if (session.PrintForScript(*response)) return OkStatus();
  PrintResult(session, response->result(), response->generation(), arguments.change.dry_run);
  return OkStatus();
}

Status ValidateConfig(const Session& session, const ConfigArguments& arguments) {
  LB_ASSIGN_OR_RETURN(const std::string text, ReadInput(arguments.file, session.io));
  const std::string name = arguments.file == "-" ? "<stdin>" : arguments.file;
  if (const auto change = config::ReadConfigText(text, name); !change.ok()) {
    session.io.err << Message(change.status()) << '\n';
    return InvalidArgument("the document has errors");
  }
  session.io.out << name << ": valid\n";
  return OkStatus();
}

Status PrintSchema(const Session& session) {
  session.io.out << config::FormatJson(config::ConfigSchema());
  return OkStatus();
}

Status ImportConfig(const Session& session, const ConfigArguments& arguments,
                    const std::string& format) {
  LB_ASSIGN_OR_RETURN(const std::string text, ReadInput(arguments.file, session.io));
  const auto imported = format == "ipvs" ? ImportIpvs(text) : ImportKatran(text);
  if (!imported.ok()) {
    session.io.err << Message(imported.status()) << '\n';
    return InvalidArgument("the input was not understood");
  }
  const bool json = session.format == Format::kJson;
  for (const std::string& note : imported->notes) {
    (json ? session.io.err << "lbctl: " : session.io.out << "# ") << note << '\n';
  }
  session.io.out << (json ? config::FormatJson(imported->config)
                          : config::FormatYaml(imported->config));
  return OkStatus();
}

Status GetConfig(const Session& session, const ConfigArguments& arguments) {
  v1::GetConfigRequest request;
  if (arguments.revision) request.set_revision(*arguments.revision);
  LB_ASSIGN_OR_RETURN(const v1::GetConfigResponse response, session.client.Call(request));
  session.io.out << (session.format == Format::kJson ? config::FormatJson(response.config())
                                                     : config::FormatYaml(response.config()));
  return OkStatus();
}

}  // namespace lb::cli
