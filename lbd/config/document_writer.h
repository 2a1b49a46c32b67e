// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/message.h>

#include <nlohmann/json_fwd.hpp>
#include <string>

// The inverse of ParseDocument: what these functions write, it reads back to the same message.
namespace lb::config {

enum class Fields {
  kSet,  // as short as possible: for documents that people edit
  kAll,  // also plain fields at their default and empty lists: for scripts, which need a stable
         // shape. Unset `optional` fields and messages stay out.
};

nlohmann::ordered_json ToJson(const google::protobuf::Message& message,
                              Fields fields = Fields::kSet);

std::string FormatJson(const nlohmann::ordered_json& value);
std::string FormatYaml(const nlohmann::ordered_json& value);

std::string FormatJson(const google::protobuf::Message& message, Fields fields = Fields::kSet);
std::string FormatYaml(const google::protobuf::Message& message, Fields fields = Fields::kSet);

}  // namespace lb::config
