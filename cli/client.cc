// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include <fmt/format.h>
#include <grp.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <string_view>
#include <system_error>

#include "lb/v1/load_balancer_service.grpc.pb.h"
#include "lbd/base/mutex.h"
#include "lbd/base/unique_fd.h"

namespace lb::cli {
namespace {

constexpr std::string_view kUnixScheme = "unix:";
constexpr int kMaxMessageBytes = 256 << 20;  // a million reals are about 40 MB
constexpr int kReconnectMs = 500;            // gRPC's default grows to two minutes
constexpr int kMaxMetadataBytes = 1 << 20;   // error messages travel in it; gRPC's default is 8 KiB

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::shared_ptr<grpc::ChannelCredentials> Credentials(const TlsFiles& tls) {
  if (tls.ca.empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ReadFile(tls.ca);
  options.pem_private_key = ReadFile(tls.key);
  options.pem_cert_chain = ReadFile(tls.cert);
  return grpc::SslCredentials(options);
}

std::shared_ptr<grpc::Channel> Connect(const std::string& server, const TlsFiles& tls) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMs);
  return grpc::CreateCustomChannel(server, Credentials(tls), arguments);
}

// The error that the kernel gives for connecting to the Unix socket `path`; 0 if there is none.
int ConnectError(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return errno;
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    return errno;
  return 0;
}

std::string PermissionHint(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) == 0 && file.st_gid != 0) {
    if (const group* owner = ::getgrgid(file.st_gid)) {
      return fmt::format("Run lbctl as root or as a member of the group \"{}\".", owner->gr_name);
    }
  }
  return "Run lbctl as root or as a member of the group that owns the socket.";
}

// Why nobody answers at `server`, and what to do. gRPC's own message buries the cause.
std::string Unreachable(const std::string& server, const std::string& grpc_message) {
  std::string cause = grpc_message;
  std::string advice = "Is lbd running there? Another server: --server ADDRESS or LBCTL_SERVER.";
  if (server.starts_with(kUnixScheme)) {
    const std::string path = server.substr(kUnixScheme.size());
    const int error = ConnectError(path);
    if (error != 0) cause = std::generic_category().message(error);
    if (error == EACCES || error == EPERM) {
      advice = PermissionHint(path);
    } else {
      advice =
          "Is lbd running? Try: pgrep -a lbd. If it listens elsewhere: --server unix:PATH or "
          "LBCTL_SERVER.";
    }
  }
  return fmt::format("cannot reach lbd at {}: {}. {}", server, cause, advice);
}

}  // namespace

struct Client::Rpc {
  std::unique_ptr<v1::LoadBalancer::Stub> stub;
  Mutex mutex;
  std::set<grpc::ClientContext*> running LB_GUARDED_BY(mutex);
  bool cancelled LB_GUARDED_BY(mutex) = false;
};

// A call's context, which Cancel() finds while the call is under way.
class Client::Context {
 public:
  explicit Context(Rpc& rpc) : rpc_(rpc) {
    const MutexLock lock(rpc_.mutex);
    if (rpc_.cancelled) context_.TryCancel();
    rpc_.running.insert(&context_);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() {
    const MutexLock lock(rpc_.mutex);
    rpc_.running.erase(&context_);
  }

  grpc::ClientContext& operator*() { return context_; }
  grpc::ClientContext* operator->() { return &context_; }

 private:
  Rpc& rpc_;
  grpc::ClientContext context_;
};

Client::Client(std::string server, std::chrono::milliseconds timeout, const TlsFiles& tls)
    : server_(server.starts_with('/') ? std::string(kUnixScheme) + server : std::move(server)),
      timeout_(timeout),
      rpc_(new Rpc{.stub = v1::LoadBalancer::NewStub(Connect(server_, tls))}) {}
Client::~Client() = default;

void Client::Cancel() {
  const MutexLock lock(rpc_->mutex);
  rpc_->cancelled = true;
  for (grpc::ClientContext* context : rpc_->running) context->TryCancel();
}

template <typename Response, typename Request, typename Method>
StatusOr<Response> Client::Invoke(Method method, const Request& request) {
  Context context(*rpc_);
  context->set_deadline(std::chrono::system_clock::now() + timeout_);
  Response response;
  const grpc::Status status = ((*rpc_->stub).*method)(&*context, request, &response);
  if (status.ok()) return response;
  return Explain(status.error_code(), status.error_message());
}

Status Client::Explain(int code, std::string message) const {
  // If it was not our Cancel(), lbd ended in the middle of the call.
  if (code == grpc::StatusCode::CANCELLED) return Unavailable(Unreachable(server_, message));
  if (code == grpc::StatusCode::UNAVAILABLE) {
    message = Unreachable(server_, message);
  } else if (code == grpc::StatusCode::DEADLINE_EXCEEDED) {
    message = fmt::format(
        "no answer from lbd at {} within {:g} s. Its log may say why; wait longer with --timeout.",
        server_, std::chrono::duration<double>(timeout_).count());
  } else if (code == grpc::StatusCode::UNIMPLEMENTED) {
    message = fmt::format(
        "lbd at {} does not know this request. Compare the versions: lbctl version", server_);
  }
  return Status(static_cast<absl::StatusCode>(code), message);
}

template <typename Response, typename Method, typename Request>
Status Client::Stream(Method method, const Request& request,
                      const std::function<bool(const Response&)>& visitor) {
  Context context(*rpc_);
  const auto reader = ((*rpc_->stub).*method)(&*context, request);
  Response response;
  while (reader->Read(&response)) {
    if (visitor(response)) continue;
    context->TryCancel();
    while (reader->Read(&response)) {
    }
    (void)reader->Finish();
    return OkStatus();
  }
  const grpc::Status status = reader->Finish();
  return status.ok() ? OkStatus() : Explain(status.error_code(), status.error_message());
}

using Stub = v1::LoadBalancer::Stub;

StatusOr<v1::ApplyConfigResponse> Client::Call(const v1::ApplyConfigRequest& request) {
  return Invoke<v1::ApplyConfigResponse>(&Stub::ApplyConfig, request);
}
StatusOr<v1::ConfirmConfigResponse> Client::Call(const v1::ConfirmConfigRequest& request) {
  return Invoke<v1::ConfirmConfigResponse>(&Stub::ConfirmConfig, request);
}
StatusOr<v1::ListRevisionsResponse> Client::Call(const v1::ListRevisionsRequest& request) {
  return Invoke<v1::ListRevisionsResponse>(&Stub::ListRevisions, request);
}
StatusOr<v1::DiffConfigResponse> Client::Call(const v1::DiffConfigRequest& request) {
  return Invoke<v1::DiffConfigResponse>(&Stub::DiffConfig, request);
}
StatusOr<v1::RollbackConfigResponse> Client::Call(const v1::RollbackConfigRequest& request) {
  return Invoke<v1::RollbackConfigResponse>(&Stub::RollbackConfig, request);
}
StatusOr<v1::ReloadConfigResponse> Client::Call(const v1::ReloadConfigRequest& request) {
  return Invoke<v1::ReloadConfigResponse>(&Stub::ReloadConfig, request);
}
StatusOr<v1::GetConfigResponse> Client::Call(const v1::GetConfigRequest& request) {
  return Invoke<v1::GetConfigResponse>(&Stub::GetConfig, request);
}
StatusOr<v1::AddVipResponse> Client::Call(const v1::AddVipRequest& request) {
  return Invoke<v1::AddVipResponse>(&Stub::AddVip, request);
}
StatusOr<v1::UpdateVipResponse> Client::Call(const v1::UpdateVipRequest& request) {
  return Invoke<v1::UpdateVipResponse>(&Stub::UpdateVip, request);
}
StatusOr<v1::DeleteVipResponse> Client::Call(const v1::DeleteVipRequest& request) {
  return Invoke<v1::DeleteVipResponse>(&Stub::DeleteVip, request);
}
StatusOr<v1::ListVipsResponse> Client::Call(const v1::ListVipsRequest& request) {
  return Invoke<v1::ListVipsResponse>(&Stub::ListVips, request);
}
StatusOr<v1::AddRealResponse> Client::Call(const v1::AddRealRequest& request) {
  return Invoke<v1::AddRealResponse>(&Stub::AddReal, request);
}
StatusOr<v1::UpdateRealResponse> Client::Call(const v1::UpdateRealRequest& request) {
  return Invoke<v1::UpdateRealResponse>(&Stub::UpdateReal, request);
}
StatusOr<v1::DeleteRealResponse> Client::Call(const v1::DeleteRealRequest& request) {
  return Invoke<v1::DeleteRealResponse>(&Stub::DeleteReal, request);
}
StatusOr<v1::ListRealsResponse> Client::Call(const v1::ListRealsRequest& request) {
  return Invoke<v1::ListRealsResponse>(&Stub::ListReals, request);
}
StatusOr<v1::GetStatusResponse> Client::GetBriefStatus() {
  v1::GetStatusRequest request;
  request.set_brief(true);
  return Call(request);
}

StatusOr<v1::GetStatusResponse> Client::Call(const v1::GetStatusRequest& request) {
  return Invoke<v1::GetStatusResponse>(&Stub::GetStatus, request);
}
StatusOr<v1::GetStatsResponse> Client::Call(const v1::GetStatsRequest& request) {
  return Invoke<v1::GetStatsResponse>(&Stub::GetStats, request);
}
StatusOr<v1::ListFlowsResponse> Client::Call(const v1::ListFlowsRequest& request) {
  return Invoke<v1::ListFlowsResponse>(&Stub::ListFlows, request);
}
StatusOr<v1::GetHealthResponse> Client::GetBriefHealth() {
  v1::GetHealthRequest request;
  request.set_brief(true);
  return Call(request);
}

StatusOr<v1::GetHealthResponse> Client::Call(const v1::GetHealthRequest& request) {
  return Invoke<v1::GetHealthResponse>(&Stub::GetHealth, request);
}
StatusOr<v1::SetRealHealthResponse> Client::Call(const v1::SetRealHealthRequest& request) {
  return Invoke<v1::SetRealHealthResponse>(&Stub::SetRealHealth, request);
}
StatusOr<v1::PurgeFlowsResponse> Client::Call(const v1::PurgeFlowsRequest& request) {
  return Invoke<v1::PurgeFlowsResponse>(&Stub::PurgeFlows, request);
}

StatusOr<v1::ExplainFlowResponse> Client::Call(const v1::ExplainFlowRequest& request) {
  return Invoke<v1::ExplainFlowResponse>(&Stub::ExplainFlow, request);
}
StatusOr<v1::DoctorResponse> Client::Call(const v1::DoctorRequest& request) {
  return Invoke<v1::DoctorResponse>(&Stub::Doctor, request);
}
StatusOr<v1::ListVerdictsResponse> Client::Call(const v1::ListVerdictsRequest& request) {
  return Invoke<v1::ListVerdictsResponse>(&Stub::ListVerdicts, request);
}
Status Client::Watch(const v1::WatchEventsRequest& request,
                     const std::function<bool(const v1::WatchEventsResponse&)>& visitor) {
  return Stream<v1::WatchEventsResponse>(&Stub::WatchEvents, request, visitor);
}
Status Client::Watch(const v1::CaptureRequest& request,
                     const std::function<bool(const v1::CaptureResponse&)>& visitor) {
  return Stream<v1::CaptureResponse>(&Stub::Capture, request, visitor);
}

}  // namespace lb::cli
