// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/status.h>

#include <string>

#include "lbd/api/peer.h"
#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"

namespace lb::api {

// Who changed what, or was refused it: one JSON object a line, appended to a file that may be
// rotated by renaming; without a file in the log. Thread-safe.
class AuditLog {
 public:
  // An empty path: no file.
  static StatusOr<AuditLog> Open(const std::string& path);

  void Write(const Peer& peer, std::string_view method, const google::protobuf::Message& request,
             const grpc::Status& status) const;

 private:
  explicit AuditLog(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace lb::api
