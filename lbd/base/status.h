// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace lb {

using Status = absl::Status;
template <typename T>
using StatusOr = absl::StatusOr<T>;

inline Status OkStatus() { return absl::OkStatus(); }

// One constructor per code that lbd uses. They take std::string_view because Debian's Abseil has a
// string_view type of its own.
Status InvalidArgument(std::string_view message);
Status NotFound(std::string_view message);
Status AlreadyExists(std::string_view message);
Status FailedPrecondition(std::string_view message);
Status ResourceExhausted(std::string_view message);
Status PermissionDenied(std::string_view message);
Status Unavailable(std::string_view message);
Status Internal(std::string_view message);

// Translates an errno value: "<what>: <strerror>". The only place where errno becomes a Status.
Status ErrnoStatus(int error, std::string_view what);

// `status` with "<what>: " put before its message; OK stays OK.
Status Annotate(const Status& status, std::string_view what);

// The message as a std::string.
std::string Message(const Status& status);

}  // namespace lb

// Returns from the enclosing function when `expr` is not OK.
#define LB_RETURN_IF_ERROR(expr)                                               \
  do {                                                                         \
    if (::lb::Status lb_status_ = (expr); !lb_status_.ok()) return lb_status_; \
  } while (false)

// NOLINTBEGIN(bugprone-macro-parentheses): `lhs` may be a declaration.
#define LB_STATUS_CONCAT_(a, b) a##b
#define LB_STATUS_CONCAT(a, b) LB_STATUS_CONCAT_(a, b)
#define LB_ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                         \
  if (!tmp.ok()) return tmp.status();        \
  lhs = std::move(tmp).value()
// `lhs` = the value of `expr`, or return its error from the enclosing function.
#define LB_ASSIGN_OR_RETURN(lhs, expr) \
  LB_ASSIGN_OR_RETURN_(LB_STATUS_CONCAT(lb_statusor_, __LINE__), lhs, expr)
// NOLINTEND(bugprone-macro-parentheses)
