// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "lb/v1/load_balancer_service.pb.h"
#include "lbd/base/status.h"

namespace lb::cli {

inline constexpr const char* kDefaultServer = "unix:/run/lbd/lbd.sock";

// PEM files for a server with TLS; empty: plain text.
struct TlsFiles {
  std::string ca;    // who signs the certificate of lbd
  std::string cert;  // ours
  std::string key;
};

// Speaks lb.v1.LoadBalancer to one lbd. Errors keep the code and the message of the server; those
// of the connection (UNAVAILABLE, DEADLINE_EXCEEDED) say what to do. Thread-safe.
class Client {
 public:
  // `server` is "unix:PATH", "/PATH" or "HOST:PORT". Connects with the first call; each call may
  // take `timeout`.
  Client(std::string server, std::chrono::milliseconds timeout, const TlsFiles& tls = {});
  ~Client();

  // Ends the calls that are under way; they and all later ones fail.
  void Cancel();

  const std::string& server() const { return server_; }
  // Whether lbd is on this host, as far as the address says.
  bool is_local() const { return server_.starts_with("unix:"); }

  StatusOr<v1::ApplyConfigResponse> Call(const v1::ApplyConfigRequest& request);
  StatusOr<v1::ConfirmConfigResponse> Call(const v1::ConfirmConfigRequest& request);
  StatusOr<v1::GetConfigResponse> Call(const v1::GetConfigRequest& request);
  StatusOr<v1::ListRevisionsResponse> Call(const v1::ListRevisionsRequest& request);
  StatusOr<v1::DiffConfigResponse> Call(const v1::DiffConfigRequest& request);
  StatusOr<v1::RollbackConfigResponse> Call(const v1::RollbackConfigRequest& request);
  StatusOr<v1::ReloadConfigResponse> Call(const v1::ReloadConfigRequest& request);
  StatusOr<v1::AddVipResponse> Call(const v1::AddVipRequest& request);
  StatusOr<v1::UpdateVipResponse> Call(const v1::UpdateVipRequest& request);
  StatusOr<v1::DeleteVipResponse> Call(const v1::DeleteVipRequest& request);
  StatusOr<v1::ListVipsResponse> Call(const v1::ListVipsRequest& request);
  StatusOr<v1::AddRealResponse> Call(const v1::AddRealRequest& request);
  StatusOr<v1::UpdateRealResponse> Call(const v1::UpdateRealRequest& request);
  StatusOr<v1::DeleteRealResponse> Call(const v1::DeleteRealRequest& request);
  StatusOr<v1::ListRealsResponse> Call(const v1::ListRealsRequest& request);
  StatusOr<v1::GetStatusResponse> Call(const v1::GetStatusRequest& request);
  // Of next hops those with a problem; an older lbd sends all of them.
  StatusOr<v1::GetStatusResponse> GetBriefStatus();
  StatusOr<v1::GetStatsResponse> Call(const v1::GetStatsRequest& request);
  StatusOr<v1::ListFlowsResponse> Call(const v1::ListFlowsRequest& request);
  StatusOr<v1::GetHealthResponse> Call(const v1::GetHealthRequest& request);
  // Of reals those in trouble; an older lbd sends all of them.
  StatusOr<v1::GetHealthResponse> GetBriefHealth();
  StatusOr<v1::SetRealHealthResponse> Call(const v1::SetRealHealthRequest& request);
  StatusOr<v1::PurgeFlowsResponse> Call(const v1::PurgeFlowsRequest& request);

  StatusOr<v1::ExplainFlowResponse> Call(const v1::ExplainFlowRequest& request);
  StatusOr<v1::ListVerdictsResponse> Call(const v1::ListVerdictsRequest& request);
  StatusOr<v1::DoctorResponse> Call(const v1::DoctorRequest& request);
  // Calls `visitor` with each message of the stream until it returns false; no time-out holds.
  Status Watch(const v1::WatchEventsRequest& request,
               const std::function<bool(const v1::WatchEventsResponse&)>& visitor);
  Status Watch(const v1::CaptureRequest& request,
               const std::function<bool(const v1::CaptureResponse&)>& visitor);

 private:
  struct Rpc;  // keeps gRPC's headers out of the commands
  class Context;

  template <typename Response, typename Request, typename Method>
  StatusOr<Response> Invoke(Method method, const Request& request);
  template <typename Response, typename Method, typename Request>
  Status Stream(Method method, const Request& request,
                const std::function<bool(const Response&)>& visitor);
  // What a failed call says to the user; `code` and `message` are gRPC's.
  Status Explain(int code, std::string message) const;

  std::string server_;
  std::chrono::milliseconds timeout_;
  std::unique_ptr<Rpc> rpc_;
};

}  // namespace lb::cli
