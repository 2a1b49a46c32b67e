// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/peer.h"

#include <fmt/format.h>
#include <grpcpp/security/auth_context.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace lb::api {
namespace {

constexpr size_t kMaxGroups = 65536;  // NGROUPS_MAX

std::string UserName(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return fmt::format("uid {}", uid);
  }
  return fmt::format("uid {} ({})", uid, entry.pw_name);
}

std::string ConnectionName(int fd) { return fmt::format("fd:{}", fd); }

}  // namespace

std::optional<ProcessCredentials> CredentialsOf(int socket) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  ProcessCredentials process{
      .uid = credentials.uid, .gid = credentials.gid, .pid = credentials.pid, .groups = {}};
  process.groups.resize(kMaxGroups);
  size = kMaxGroups * sizeof(gid_t);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, process.groups.data(), &size) != 0) size = 0;
  process.groups.resize(size / sizeof(gid_t));
  return process;
}

Peer PeerOf(const ProcessCredentials& process, const RolePolicy& policy) {
  const auto in = [&](const std::optional<gid_t>& group) {
    return group && (process.gid == *group ||
                     std::ranges::find(process.groups, *group) != process.groups.end());
  };
  Peer peer{.name = UserName(process.uid), .role = Role::kViewer};
  if (process.uid == 0 || process.uid == geteuid() || in(policy.admin_group)) {
    peer.role = Role::kAdmin;
  } else if (in(policy.operator_group)) {
    peer.role = Role::kOperator;
  }
  return peer;
}

Peer PeerOf(const std::vector<std::string>& certificate_names, const RolePolicy& policy) {
  Peer peer;
  for (const std::string& name : certificate_names) {
    if (peer.name.empty()) peer.name = "cert " + name;
    const Role role = policy.admin_certificates.contains(name)      ? Role::kAdmin
                      : policy.operator_certificates.contains(name) ? Role::kOperator
                                                                    : Role::kViewer;
    peer.role = std::max(peer.role, role);
  }
  return peer;
}

void Peers::Add(int fd, Peer peer) {
  const MutexLock lock(mutex_);
  by_connection_[ConnectionName(fd)] = std::move(peer);
}

void Peers::Remove(int fd) {
  const MutexLock lock(mutex_);
  by_connection_.erase(ConnectionName(fd));
}

Peer Peers::Of(const grpc::ServerContext& context) const {
  if (const auto auth = context.auth_context(); auth != nullptr && auth->IsPeerAuthenticated()) {
    std::vector<std::string> names;
    for (const char* property : {"x509_common_name", "x509_subject_alternative_name"}) {
      for (const grpc::string_ref& value : auth->FindPropertyValues(property)) {
        names.emplace_back(value.data(), value.size());
      }
    }
    return PeerOf(names, policy_);
  }
  Peer peer;
  {
    const MutexLock lock(mutex_);
    const auto it = by_connection_.find(context.peer());
    if (it != by_connection_.end()) peer = it->second;
  }
  // A number belongs to the next connection once its own is closed; its calls are cancelled then.
  return context.IsCancelled() ? Peer() : peer;
}

}  // namespace lb::api
