// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/server.h"

#include <fmt/format.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "lbd/api/service.h"
#include "lbd/base/unique_fd.h"

namespace lb::api {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr int kMaxMessageBytes = 64 << 20;
constexpr auto kDrainTime = std::chrono::seconds(2);

// True while a process accepts connections at `path`.
bool IsServed(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
}

Status PrepareSocket(const std::string& path) {
  const auto directory = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!directory.empty()) std::filesystem::create_directories(directory, error);
  if (error) return ErrnoStatus(error.value(), "create " + directory.string());
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return FailedPrecondition(fmt::format("--listen: {} exists and is not a socket", path));
  }
  if (IsServed(path)) {
    return FailedPrecondition(fmt::format("--listen: another process serves {}", path));
  }
  return OkStatus();
}

}  // namespace

struct Server::Impl {
  Impl(control::Controller& controller, const std::string& version)
      : service(controller, version) {}

  LoadBalancerService service;
  std::unique_ptr<grpc::Server> server;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<std::unique_ptr<Server>> Server::Start(const std::string& address,
                                                control::Controller& controller,
                                                const std::string& version) {
  if (!address.starts_with(kUnixPrefix) || address.size() == kUnixPrefix.size()) {
    return InvalidArgument(fmt::format(
        "--listen: must be a Unix socket such as unix:/run/lbd/lbd.sock, got \"{}\"", address));
  }
  const std::string path = address.substr(kUnixPrefix.size());
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return InvalidArgument(fmt::format("--listen: a socket path has at most {} characters, got {}",
                                       sizeof(sockaddr_un::sun_path) - 1, path.size()));
  }
  LB_RETURN_IF_ERROR(PrepareSocket(path));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  auto impl = std::make_unique<Impl>(controller, version);
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&impl->service);
  const mode_t mask = umask(0117);
  impl->server = builder.BuildAndStart();
  umask(mask);
  if (impl->server == nullptr) return Unavailable(fmt::format("--listen: cannot bind {}", path));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::~Server() { impl_->server->Shutdown(std::chrono::system_clock::now() + kDrainTime); }

}  // namespace lb::api
