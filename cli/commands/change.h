// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/session.h"

namespace lb::cli {

// The options of every command that changes the configuration: how the change is to be made.
struct ChangeArguments {
  bool dry_run = false;
  std::string comment;
  std::string etag;
  std::string request_id;
  std::optional<double> max_disruption;  // percent
  std::optional<uint32_t> max_changes;
};

void WriteOptions(const ChangeArguments& arguments, v1::ChangeOptions& options);

// What a change did, or with a dry run would do.
void PrintResult(const Session& session, const v1::ChangeResult& result, uint64_t generation,
                 bool dry_run);

// Of a change of one object, where `done` says enough: "added 192.0.2.1:80/tcp".
template <typename Response>
void ReportChange(const Session& session, const ChangeArguments& arguments,
                  const Response& response, const std::string& done) {
  if (session.PrintForScript(response)) return;
  if (arguments.dry_run) {
    PrintResult(session, response.result(), response.generation(), /*dry_run=*/true);
  } else {
    session.io.out << done << '\n';
  }
}

}  // namespace lb::cli
