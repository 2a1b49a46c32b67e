// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands/change.h"
#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

struct ConfigArguments {
  std::string file;  // "-" is the standard input
  ChangeArguments change;
  std::string etag;  // to be confirmed
  std::optional<uint32_t> confirm_within;
  std::optional<uint64_t> revision;
  std::optional<uint32_t> limit;
  std::vector<std::string> sides;  // of a diff: revisions, or a file
};

// Problems are printed to the error stream as "FILE:LINE:COLUMN: path: message"; the status sums
// up.
Status ApplyConfig(const Session& session, const ConfigArguments& arguments);
// Checks the document without lbd.
Status ValidateConfig(const Session& session, const ConfigArguments& arguments);
// Prints the JSON Schema of documents, for editors.
Status PrintSchema(const Session& session);
Status GetConfig(const Session& session, const ConfigArguments& arguments);
Status ConfirmConfig(const Session& session, const ConfigArguments& arguments);
Status DiffConfig(const Session& session, const ConfigArguments& arguments);
Status ShowHistory(const Session& session, const ConfigArguments& arguments);
Status RollbackConfig(const Session& session, const ConfigArguments& arguments);
Status ReloadConfig(const Session& session, const ConfigArguments& arguments);
// Prints what `format` ("ipvs", "katran") says as a document.
Status ImportConfig(const Session& session, const ConfigArguments& arguments,
                    const std::string& format);

}  // namespace lb::cli
