// SPDX-License-Identifier: Apache-2.0
#include "cli/session.h"

#include <nlohmann/json.hpp>

#include "lbd/config/document_writer.h"

namespace lb::cli {

bool Session::PrintForScript(const google::protobuf::Message& message) const {
  if (format == Format::kTable) return false;
  return PrintForScript(config::ToJson(message, config::Fields::kAll));
}

bool Session::PrintForScript(const nlohmann::ordered_json& value) const {
  switch (format) {
    case Format::kTable:
      return false;
    case Format::kJson:
      io.out << config::FormatJson(value);
      return true;
    case Format::kYaml:
      io.out << config::FormatYaml(value);
      return true;
  }
  return false;
}

}  // namespace lb::cli
