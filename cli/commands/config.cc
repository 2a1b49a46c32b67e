// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/config.h"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "lbd/config/document.h"
#include "lbd/config/document_writer.h"

namespace lb::cli {
namespace {

// At most one byte more than a document may have, so that the reader can refuse it.
std::string ReadStream(std::istream& in) {
  std::string text;
  std::string block(1 << 16, '\0');
  while (in && text.size() <= config::kMaxDocumentBytes) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    text.append(block, 0, static_cast<size_t>(in.gcount()));
  }
  return text;
}

StatusOr<std::string> ReadInput(const std::string& file, const Io& io) {
  if (file == "-") return ReadStream(io.in);
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  std::string text;
  if (in) text = ReadStream(in);
  if (in.bad() || !in.is_open()) {
    return Internal(fmt::format("cannot read {}: {}", file,
                                std::generic_category().message(errno != 0 ? errno : EIO)));
  }
  return text;
}

}  // namespace

Status ApplyConfig(const Session& session, const ConfigArguments& arguments) {
  LB_ASSIGN_OR_RETURN(const std::string text, ReadInput(arguments.file, session.io));
  const std::string name = arguments.file == "-" ? "<stdin>" : arguments.file;
  v1::ApplyConfigRequest request;
  request.set_validate_only(arguments.dry_run);
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
  for (const std::string& change : response->changes()) session.io.out << change << '\n';
  const int changes = response->changes_size();
  if (changes == 0) {
    session.io.out << "nothing to change\n";
    return OkStatus();
  }
  const std::string count = fmt::format("{} change{}", changes, changes == 1 ? "" : "s");
  if (arguments.dry_run) {
    session.io.out << fmt::format("valid; would make {}\n", count);
  } else {
    session.io.out << fmt::format("applied {}; generation {}\n", count, response->generation());
  }
  return OkStatus();
}

Status GetConfig(const Session& session) {
  LB_ASSIGN_OR_RETURN(const v1::GetConfigResponse response,
                      session.client.Call(v1::GetConfigRequest()));
  session.io.out << (session.format == Format::kJson ? config::FormatJson(response.config())
                                                     : config::FormatYaml(response.config()));
  return OkStatus();
}

}  // namespace lb::cli
