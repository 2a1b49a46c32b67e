// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/guarded_service.h"

#include <fmt/format.h>

namespace lb::api {

grpc::Status GuardedService::Admit(const Peer& peer, std::string_view method,
                                   const google::protobuf::Message& request) {
  if (peer.role == Role::kNone) {
    return ToGrpc(PermissionDenied("it is not known who calls: the connection was closed"));
  }
  const Role needed = RoleFor(method, request);
  if (peer.role < needed) {
    return ToGrpc(
        PermissionDenied(fmt::format("{} takes the role {}, and {} has the role {}", method,
                                     ToString(needed), peer.name, ToString(peer.role))));
  }
  return ToGrpc(admission_.Enter(peer.name, Admission::Clock::now()));
}

}  // namespace lb::api
