// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/server.h"

#include <fmt/format.h>
#include <glog/logging.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/server_posix.h>

#include <chrono>
#include <filesystem>
#include <utility>

#include "lbd/api/guarded_service.h"
#include "lbd/api/reflection_limit.h"
#include "lbd/api/settings_before_ack.h"

namespace lb::api {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;
constexpr size_t kMemoryBytes = size_t{64} << 20;  // of all connections together, about
// Each call under way takes one, and keeps it for a moment after its answer.
constexpr int kMaxThreads = 256;
constexpr int kMaxStreamsPerConnection = 48;
// Others than ours: gRPC does not send what is as it was initially.
constexpr LimitsBeforeAck kBeforeAck = {.streams = kMaxStreamsPerConnection + 1,
                                        .metadata_bytes = 16 << 10};
constexpr int kKeepaliveMs = 60'000;
constexpr int kHandshakeMs = 5'000;
constexpr int kIdleMs = 15 * 60'000;
constexpr unsigned kCertificateSeconds = 5;
constexpr auto kDrainTime = std::chrono::seconds(2);

StatusOr<std::shared_ptr<grpc::ServerCredentials>> Credentials(const TlsOptions& tls) {
  using grpc::experimental::FileWatcherCertificateProvider;
  for (const std::string& file : {tls.cert, tls.key, tls.client_ca}) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(file, error)) {
      return InvalidArgument(
          fmt::format("TLS needs --tls_cert, --tls_key and --tls_client_ca: "
                      "there is no file \"{}\"",
                      file));
    }
  }
  auto provider = std::make_shared<FileWatcherCertificateProvider>(tls.key, tls.cert, tls.client_ca,
                                                                   kCertificateSeconds);
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

using TlsAcceptor = grpc::experimental::ExternalConnectionAcceptor;

}  // namespace

struct Server::Impl {
  Impl(control::Controller& control, ServerOptions& options, AuditLog log)
      : controller(control),
        peers(std::move(options.roles)),
        audit(std::move(log)),
        service(controller, options.version, std::move(options.read_config),
                std::move(options.checks), std::move(options.metrics_listen), peers, audit) {}

  // Who is at the other end of a connection without TLS.
  Peer Identify(int fd, Transport transport) const {
    // Loopback without TLS was asked for by --insecure: everybody on this host is an admin.
    if (transport == Transport::kLoopback) return {.name = "loopback", .role = Role::kAdmin};
    const auto process = CredentialsOf(fd);
    return process ? PeerOf(*process, peers.policy()) : Peer();
  }
  // Serves the connection `fd`; false: nobody knows who it is.
  bool Serve(int fd, Transport transport) {
    if (transport == Transport::kTls) {
      TlsAcceptor::NewConnectionParameters connection;
      connection.fd = fd;
      tls->HandleNewConnection(&connection);
      return true;
    }
    const Peer peer = Identify(fd, transport);
    if (peer.role == Role::kNone) return false;
    peers.Add(fd, peer);
    grpc::AddInsecureChannelFromFd(server.get(), fd);
    return true;
  }

  control::Controller& controller;
  Peers peers;
  AuditLog audit;
  GuardedService service;
  std::unique_ptr<TlsAcceptor> tls;  // may be null
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<Acceptor> acceptor;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<std::unique_ptr<Server>> Server::Start(ServerOptions options,
                                                control::Controller& controller) {
  LB_ASSIGN_OR_RETURN(AuditLog audit, AuditLog::Open(options.audit_log));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  auto impl = std::make_unique<Impl>(controller, options, std::move(audit));
  if (const Status status = SetLimitsBeforeAck(kBeforeAck); !status.ok()) {
    LOG(WARNING) << "Clients that do not acknowledge our settings are not limited: "
                 << Message(status);
  }
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // gRPC would unpack a message before it looks at its size.
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  grpc::ResourceQuota quota("lbd");
  quota.Resize(kMemoryBytes);
  quota.SetMaxThreads(kMaxThreads);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMs);
  if (options.tls) {
    using FromFd = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
    LB_ASSIGN_OR_RETURN(const auto credentials, Credentials(*options.tls));
    impl->tls = builder.experimental().AddExternalConnectionAcceptor(FromFd::FROM_FD, credentials);
  }
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  if (options.calls != nullptr) interceptors = options.calls->Interceptors();
  interceptors.push_back(std::make_unique<ReflectionLimit>());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  builder.RegisterService(&impl->service);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr) return Unavailable("the API cannot be served");
  Impl* const self = impl.get();
  LB_ASSIGN_OR_RETURN(
      impl->acceptor,
      Acceptor::Start(std::move(options.listeners),
                      {.opened = [self](int fd, Transport t) { return self->Serve(fd, t); },
                       .closed = [self](int fd) { self->peers.Remove(fd); }}));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::~Server() {
  impl_->acceptor.reset();
  impl_->controller.events().Stop();
  impl_->server->Shutdown(std::chrono::system_clock::now() + kDrainTime);
}

}  // namespace lb::api
