// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "lb/v1/load_balancer_service.grpc.pb.h"

namespace lb::cli {

// A LoadBalancer on a Unix socket of its own that keeps the last request of each kind and answers
// what it was told to.
class FakeLoadBalancer final : public v1::LoadBalancer::Service {
 public:
  FakeLoadBalancer();
  ~FakeLoadBalancer() override;

  std::string address() const { return "unix:" + directory_ + "/lbd.sock"; }

  // Every call fails with this, unless it is OK.
  void FailWith(grpc::Status failure) {
    const std::scoped_lock lock(mutex_);
    failure_ = std::move(failure);
  }

  // What clients sent last.
  v1::ApplyConfigRequest apply_config;
  v1::ConfirmConfigRequest confirm_config;
  v1::GetConfigRequest get_config;
  v1::DiffConfigRequest diff_config;
  v1::RollbackConfigRequest rollback_config;
  v1::AddVipRequest add_vip;
  v1::UpdateVipRequest update_vip;
  v1::DeleteVipRequest delete_vip;
  v1::AddRealRequest add_real;
  v1::UpdateRealRequest update_real;
  v1::DeleteRealRequest delete_real;
  v1::ListRealsRequest list_reals;
  v1::ListFlowsRequest list_flows;
  v1::PurgeFlowsRequest purge_flows;
  v1::ExplainFlowRequest explain_flow;
  v1::CaptureRequest capture;
  v1::WatchEventsRequest watch_events;
  v1::GetStatusRequest get_status;
  v1::GetHealthRequest get_health;
  v1::SetRealHealthRequest set_real_health;

  // What they get.
  v1::ApplyConfigResponse applied;
  v1::ChangeResult changed;  // of VIPs and reals
  v1::GetConfigResponse config;
  v1::ListRevisionsResponse revisions;
  v1::DiffConfigResponse diff;
  v1::RollbackConfigResponse rolled_back;
  v1::ReloadConfigResponse reloaded;
  v1::ListVipsResponse vips;
  v1::ListRealsResponse reals;
  v1::GetStatusResponse status;
  v1::GetStatsResponse stats;
  v1::ListFlowsResponse flows;
  v1::PurgeFlowsResponse purged;
  v1::ExplainFlowResponse explained;
  v1::CaptureResponse captured;
  v1::ListVerdictsResponse verdicts;
  v1::DoctorResponse findings;
  v1::GetHealthResponse health;
  std::vector<v1::WatchEventsResponse> events;  // then the stream ends

  // Called for each ListReals before it is answered; may change `reals`.
  std::function<void()> on_list_reals = [] {};

 private:
  using Context = grpc::ServerContext;

  template <typename Message>
  grpc::Status Answer(const Message& from, Message* to) {
    const std::scoped_lock lock(mutex_);
    if (failure_.ok()) *to = from;
    return failure_;
  }
  template <typename Request, typename Response>
  grpc::Status Record(const Request* request, Request& kept, Response* response) {
    kept = *request;
    Response done;
    done.set_generation(7);
    if constexpr (requires { done.mutable_result(); }) *done.mutable_result() = changed;
    return Answer(done, response);
  }

  grpc::Status ApplyConfig(Context*, const v1::ApplyConfigRequest* request,
                           v1::ApplyConfigResponse* response) override {
    apply_config = *request;
    return Answer(applied, response);
  }
  grpc::Status ConfirmConfig(Context*, const v1::ConfirmConfigRequest* request,
                             v1::ConfirmConfigResponse* response) override {
    return Record(request, confirm_config, response);
  }
  grpc::Status ListRevisions(Context*, const v1::ListRevisionsRequest*,
                             v1::ListRevisionsResponse* response) override {
    return Answer(revisions, response);
  }
  grpc::Status DiffConfig(Context*, const v1::DiffConfigRequest* request,
                          v1::DiffConfigResponse* response) override {
    diff_config = *request;
    return Answer(diff, response);
  }
  grpc::Status RollbackConfig(Context*, const v1::RollbackConfigRequest* request,
                              v1::RollbackConfigResponse* response) override {
    rollback_config = *request;
    return Answer(rolled_back, response);
  }
  grpc::Status ReloadConfig(Context*, const v1::ReloadConfigRequest*,
                            v1::ReloadConfigResponse* response) override {
    return Answer(reloaded, response);
  }
  grpc::Status GetConfig(Context*, const v1::GetConfigRequest* request,
                         v1::GetConfigResponse* response) override {
    get_config = *request;
    return Answer(config, response);
  }
  grpc::Status AddVip(Context*, const v1::AddVipRequest* request,
                      v1::AddVipResponse* response) override {
    return Record(request, add_vip, response);
  }
  grpc::Status UpdateVip(Context*, const v1::UpdateVipRequest* request,
                         v1::UpdateVipResponse* response) override {
    return Record(request, update_vip, response);
  }
  grpc::Status DeleteVip(Context*, const v1::DeleteVipRequest* request,
                         v1::DeleteVipResponse* response) override {
    return Record(request, delete_vip, response);
  }
  grpc::Status ListVips(Context*, const v1::ListVipsRequest*,
                        v1::ListVipsResponse* response) override {
    return Answer(vips, response);
  }
  grpc::Status AddReal(Context*, const v1::AddRealRequest* request,
                       v1::AddRealResponse* response) override {
    return Record(request, add_real, response);
  }
  grpc::Status UpdateReal(Context*, const v1::UpdateRealRequest* request,
                          v1::UpdateRealResponse* response) override {
    return Record(request, update_real, response);
  }
  grpc::Status DeleteReal(Context*, const v1::DeleteRealRequest* request,
                          v1::DeleteRealResponse* response) override {
    return Record(request, delete_real, response);
  }
  grpc::Status ListReals(Context*, const v1::ListRealsRequest* request,
                         v1::ListRealsResponse* response) override {
    list_reals = *request;
    on_list_reals();
    return Answer(reals, response);
  }
  grpc::Status GetStatus(Context*, const v1::GetStatusRequest* request,
                         v1::GetStatusResponse* response) override {
    get_status = *request;
    return Answer(status, response);
  }
  grpc::Status GetStats(Context*, const v1::GetStatsRequest*,
                        v1::GetStatsResponse* response) override {
    return Answer(stats, response);
  }
  grpc::Status ListFlows(Context*, const v1::ListFlowsRequest* request,
                         v1::ListFlowsResponse* response) override {
    list_flows = *request;
    return Answer(flows, response);
  }
  grpc::Status GetHealth(Context*, const v1::GetHealthRequest* request,
                         v1::GetHealthResponse* response) override {
    get_health = *request;
    return Answer(health, response);
  }
  grpc::Status SetRealHealth(Context*, const v1::SetRealHealthRequest* request,
                             v1::SetRealHealthResponse* response) override {
    set_real_health = *request;
    return Answer(v1::SetRealHealthResponse(), response);
  }
  grpc::Status PurgeFlows(Context*, const v1::PurgeFlowsRequest* request,
                          v1::PurgeFlowsResponse* response) override {
    purge_flows = *request;
    return Answer(purged, response);
  }
  grpc::Status WatchEvents(Context*, const v1::WatchEventsRequest* request,
                           grpc::ServerWriter<v1::WatchEventsResponse>* writer) override {
    watch_events = *request;
    for (const auto& response : events) writer->Write(response);
    const std::scoped_lock lock(mutex_);
    return failure_;
  }

  grpc::Status ExplainFlow(Context*, const v1::ExplainFlowRequest* request,
                           v1::ExplainFlowResponse* response) override {
    explain_flow = *request;
    return Answer(explained, response);
  }
  grpc::Status Capture(Context*, const v1::CaptureRequest* request,
                       grpc::ServerWriter<v1::CaptureResponse>* writer) override {
    capture = *request;
    writer->Write(captured);
    return failure_;
  }
  grpc::Status ListVerdicts(Context*, const v1::ListVerdictsRequest*,
                            v1::ListVerdictsResponse* response) override {
    return Answer(verdicts, response);
  }
  grpc::Status Doctor(Context*, const v1::DoctorRequest*, v1::DoctorResponse* response) override {
    return Answer(findings, response);
  }

  std::mutex mutex_;
  grpc::Status failure_;
  std::string directory_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace lb::cli
