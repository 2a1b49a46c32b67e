// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/file_source.h"

#include <cerrno>
#include <fstream>
#include <sstream>

#include "lb/v1/config.pb.h"
#include "lbd/api/convert.h"
#include "lbd/config/document.h"

namespace lb::config {
namespace {

StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  // A directory opens, and fails on the first read.
  if (!file || (file.peek() != EOF && !(text << file.rdbuf())) || file.bad()) {
    return ErrnoStatus(errno != 0 ? errno : EIO, "read " + path);
  }
  return text.str();
}

}  // namespace

StatusOr<model::ReplaceConfig> ReadConfigFile(const std::string& path) {
  LB_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return ReadConfigText(text, path);
}

StatusOr<model::ReplaceConfig> ReadConfigText(const std::string& text, const std::string& name) {
  v1::Config proto;
  const ParsedDocument document = ParseDocument(text, name, proto);
  LB_RETURN_IF_ERROR(document.status());
  api::ConvertedConfig converted = api::ConfigFromProto(proto);
  if (const Status status = model::ToStatus(converted.problems); !status.ok()) {
    return InvalidArgument(document.Annotate(Message(status)));
  }
  return std::move(converted.change);
}

}  // namespace lb::config
