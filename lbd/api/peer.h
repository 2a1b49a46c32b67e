// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server_context.h>
#include <sys/types.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lbd/api/role.h"
#include "lbd/base/mutex.h"

namespace lb::api {

// Who calls.
struct Peer {
  std::string name;  // "uid 1000 (alice)", "cert deploy": for logs and the history
  Role role = Role::kNone;

  bool operator==(const Peer&) const = default;
};

// Who has which role. Who is in no list but may connect is a viewer.
struct RolePolicy {
  std::optional<gid_t> admin_group;  // Unix groups
  std::optional<gid_t> operator_group;
  std::set<std::string> admin_certificates;  // common names, or DNS or URI alternative names
  std::set<std::string> operator_certificates;
};

// The credentials of a process at the other end of a Unix socket.
struct ProcessCredentials {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  std::vector<gid_t> groups;  // supplementary
};
std::optional<ProcessCredentials> CredentialsOf(int socket);

// Root, and who lbd runs as, is an admin.
Peer PeerOf(const ProcessCredentials& process, const RolePolicy& policy);
Peer PeerOf(const std::vector<std::string>& certificate_names, const RolePolicy& policy);

// The peers of the connections that are open, and of those by certificate. Thread-safe.
class Peers {
 public:
  explicit Peers(RolePolicy policy) : policy_(std::move(policy)) {}

  const RolePolicy& policy() const { return policy_; }
  // gRPC serves the connection `fd` from now on. Calls name their connection by this number.
  void Add(int fd, Peer peer);
  void Remove(int fd);
  // The peer of a call; nobody where its connection is not known or closed.
  Peer Of(const grpc::ServerContext& context) const;

 private:
  RolePolicy policy_;
  mutable Mutex mutex_;
  std::map<std::string, Peer> by_connection_ LB_GUARDED_BY(mutex_);  // "fd:7"
};

}  // namespace lb::api
