// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/status.h"

#include <cerrno>
#include <system_error>

namespace lb {
namespace {

Status Make(absl::StatusCode code, std::string_view message) {
  return {code, absl::string_view(message.data(), message.size())};
}

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return absl::StatusCode::kPermissionDenied;
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case EBUSY:
      return absl::StatusCode::kFailedPrecondition;
    case ENOMEM:
    case ENOSPC:
    case E2BIG:
    case EMFILE:
    case ENFILE:
      return absl::StatusCode::kResourceExhausted;
    case EINVAL:
      return absl::StatusCode::kInvalidArgument;
    case EAGAIN:
    case EINTR:
    case ECONNREFUSED:
    case ENETDOWN:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

Status InvalidArgument(std::string_view message) {
  return Make(absl::StatusCode::kInvalidArgument, message);
}
Status NotFound(std::string_view message) { return Make(absl::StatusCode::kNotFound, message); }
Status AlreadyExists(std::string_view message) {
  return Make(absl::StatusCode::kAlreadyExists, message);
}
Status FailedPrecondition(std::string_view message) {
  return Make(absl::StatusCode::kFailedPrecondition, message);
}
Status ResourceExhausted(std::string_view message) {
  return Make(absl::StatusCode::kResourceExhausted, message);
}
Status PermissionDenied(std::string_view message) {
  return Make(absl::StatusCode::kPermissionDenied, message);
}
Status Unavailable(std::string_view message) {
  return Make(absl::StatusCode::kUnavailable, message);
}
Status Internal(std::string_view message) { return Make(absl::StatusCode::kInternal, message); }

Status ErrnoStatus(int error, std::string_view what) {
  return Make(CodeOf(error), std::string(what) + ": " + std::generic_category().message(error));
}

Status Annotate(const Status& status, std::string_view what) {
  if (status.ok()) return status;
  return Make(status.code(), std::string(what) + ": " + Message(status));
}

std::string Message(const Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace lb
