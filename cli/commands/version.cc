// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/version.h"

#include <nlohmann/json.hpp>

namespace lb::cli {

Status ShowVersion(const Session& session) {
  const auto status = session.client.GetBriefStatus();
  if (session.format == Format::kTable) {
    session.io.out << "lbctl " << kVersion << '\n';
    if (status.ok()) session.io.out << "lbd " << status->version() << '\n';
    return status.status();
  }
  nlohmann::ordered_json value = {{"lbctl", kVersion}};
  if (status.ok()) value["lbd"] = status->version();
  session.PrintForScript(value);
  return status.status();
}

}  // namespace lb::cli
