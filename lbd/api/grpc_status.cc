// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/grpc_status.h"

#include <string>

namespace lb::api {
namespace {

// The message of a status travels in a header, "%xx" for all but printable ASCII, and clients take
// 8 KiB of headers by default.
std::string FitIntoHeader(std::string message) {
  constexpr size_t kMaxBytes = 7000;
  size_t bytes = 0;
  for (size_t i = 0; i < message.size(); ++i) {
    const char c = message[i];
    bytes += c >= ' ' && c <= '~' && c != '%' ? 1 : 3;
    if (bytes <= kMaxBytes) continue;
    while (i > 0 && (message[i] & 0xc0) == 0x80) --i;  // UTF-8 stays whole
    return message.substr(0, i) + "...";
  }
  return message;
}

}  // namespace

grpc::Status ToGrpc(const Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), FitIntoHeader(Message(status))};
}

}  // namespace lb::api
