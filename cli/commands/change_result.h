// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "cli/commands/config.h"
#include "cli/session.h"

namespace lb::cli {

// What the command line says about how to make a change.
Status WriteOptions(const ConfigArguments& arguments, v1::ChangeOptions& options);
// What a change of the whole configuration did, or would do.
void PrintResult(const Session& session, const v1::ChangeResult& result, uint64_t generation,
                 bool dry_run);

}  // namespace lb::cli
