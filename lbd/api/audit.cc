// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/audit.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "lb/v1/load_balancer_service.pb.h"

namespace lb::api {
namespace {

constexpr size_t kMaxRequest = 2000;

// One line of what was asked. The secret of a document stays out, and so does the document: the
// history has it.
std::string Describe(const google::protobuf::Message& request) {
  std::unique_ptr<google::protobuf::Message> copy(request.New());
  if (request.GetDescriptor() == v1::ApplyConfigRequest::descriptor()) {
    const auto& apply = static_cast<const v1::ApplyConfigRequest&>(request);
    auto& shown = static_cast<v1::ApplyConfigRequest&>(*copy);
    *shown.mutable_options() = apply.options();
    if (apply.has_confirm_within_seconds()) {
      shown.set_confirm_within_seconds(apply.confirm_within_seconds());
    }
  } else {
    copy->CopyFrom(request);
  }
  std::string text = copy->ShortDebugString();
  if (text.size() > kMaxRequest) text = text.substr(0, kMaxRequest) + "...";
  return text;
}

UniqueFd OpenFile(const std::string& path) {
  return UniqueFd(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
}

}  // namespace

StatusOr<AuditLog> AuditLog::Open(const std::string& path) {
  if (!path.empty() && !OpenFile(path).valid()) {
    return ErrnoStatus(errno, "--audit_log: open " + path);
  }
  return AuditLog(path);
}

void AuditLog::Write(const Peer& peer, std::string_view method,
                     const google::protobuf::Message& request, const grpc::Status& status) const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  nlohmann::ordered_json line = {
      {"time_unix_ms", std::chrono::duration_cast<std::chrono::milliseconds>(now).count()},
      {"peer", peer.name},
      {"role", std::string(ToString(peer.role))},
      {"call", std::string(method)},
      {"request", Describe(request)},
      {"code", static_cast<int>(status.error_code())}};
  if (!status.ok()) line["message"] = status.error_message();
  const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (path_.empty()) {
    LOG(INFO) << "audit " << text;
    return;
  }
  // Opened anew, so that whoever rotates it need not tell; one write appends one whole line.
  const UniqueFd fd = OpenFile(path_);
  const std::string whole = text + "\n";
  if (!fd.valid() || write(fd.get(), whole.data(), whole.size()) < 0) {
    LOG(ERROR) << ErrnoStatus(errno, "write " + path_) << "; audit " << text;
  }
}

}  // namespace lb::api
