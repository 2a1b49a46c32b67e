// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "lb/v1/load_balancer_service.grpc.pb.h"
#include "lbd/api/config_reader.h"
#include "lbd/api/watch.h"
#include "lbd/control/controller.h"
#include "lbd/dataplane/finding.h"

namespace lb::api {

// lb.v1.LoadBalancer over a Controller. Thread-safe: gRPC calls it from its own threads.
class LoadBalancerService : public v1::LoadBalancer::Service {
 public:
  // What the doctor looks at besides the control thread and the kernel.
  using Checks = std::function<std::vector<dataplane::Finding>()>;

  // `controller` outlives this; `checks` may be null. `metrics_listen`: for the status.
  LoadBalancerService(control::Controller& controller, std::string version,
                      ConfigReader read_config, Checks checks, std::string metrics_listen = "");

  grpc::Status ApplyConfig(grpc::ServerContext* context, const v1::ApplyConfigRequest* request,
                           v1::ApplyConfigResponse* response) override;
  grpc::Status ConfirmConfig(grpc::ServerContext* context, const v1::ConfirmConfigRequest* request,
                             v1::ConfirmConfigResponse* response) override;
  grpc::Status GetConfig(grpc::ServerContext* context, const v1::GetConfigRequest* request,
                         v1::GetConfigResponse* response) override;
  grpc::Status ListRevisions(grpc::ServerContext* context, const v1::ListRevisionsRequest* request,
                             v1::ListRevisionsResponse* response) override;
  grpc::Status DiffConfig(grpc::ServerContext* context, const v1::DiffConfigRequest* request,
                          v1::DiffConfigResponse* response) override;
  grpc::Status RollbackConfig(grpc::ServerContext* context,
                              const v1::RollbackConfigRequest* request,
                              v1::RollbackConfigResponse* response) override;
  grpc::Status ReloadConfig(grpc::ServerContext* context, const v1::ReloadConfigRequest* request,
                            v1::ReloadConfigResponse* response) override;
  grpc::Status AddVip(grpc::ServerContext* context, const v1::AddVipRequest* request,
                      v1::AddVipResponse* response) override;
  grpc::Status UpdateVip(grpc::ServerContext* context, const v1::UpdateVipRequest* request,
                         v1::UpdateVipResponse* response) override;
  grpc::Status DeleteVip(grpc::ServerContext* context, const v1::DeleteVipRequest* request,
                         v1::DeleteVipResponse* response) override;
  grpc::Status ListVips(grpc::ServerContext* context, const v1::ListVipsRequest* request,
                        v1::ListVipsResponse* response) override;
  grpc::Status AddReal(grpc::ServerContext* context, const v1::AddRealRequest* request,
                       v1::AddRealResponse* response) override;
  grpc::Status UpdateReal(grpc::ServerContext* context, const v1::UpdateRealRequest* request,
                          v1::UpdateRealResponse* response) override;
  grpc::Status DeleteReal(grpc::ServerContext* context, const v1::DeleteRealRequest* request,
                          v1::DeleteRealResponse* response) override;
  grpc::Status ListReals(grpc::ServerContext* context, const v1::ListRealsRequest* request,
                         v1::ListRealsResponse* response) override;
  grpc::Status GetStatus(grpc::ServerContext* context, const v1::GetStatusRequest* request,
                         v1::GetStatusResponse* response) override;
  grpc::Status GetStats(grpc::ServerContext* context, const v1::GetStatsRequest* request,
                        v1::GetStatsResponse* response) override;
  grpc::Status ListFlows(grpc::ServerContext* context, const v1::ListFlowsRequest* request,
                         v1::ListFlowsResponse* response) override;
  grpc::Status GetHealth(grpc::ServerContext* context, const v1::GetHealthRequest* request,
                         v1::GetHealthResponse* response) override;
  grpc::Status SetRealHealth(grpc::ServerContext* context, const v1::SetRealHealthRequest* request,
                             v1::SetRealHealthResponse* response) override;
  grpc::Status PurgeFlows(grpc::ServerContext* context, const v1::PurgeFlowsRequest* request,
                          v1::PurgeFlowsResponse* response) override;
  grpc::Status WatchEvents(grpc::ServerContext* context, const v1::WatchEventsRequest* request,
                           grpc::ServerWriter<v1::WatchEventsResponse>* writer) override {
    return watches_.Events(*context, *request, *writer);
  }
  grpc::Status WatchStats(grpc::ServerContext* context, const v1::WatchStatsRequest* request,
                          grpc::ServerWriter<v1::WatchStatsResponse>* writer) override {
    return watches_.Stats(*context, *request, *writer);
  }

  grpc::Status ExplainFlow(grpc::ServerContext* context, const v1::ExplainFlowRequest* request,
                           v1::ExplainFlowResponse* response) override;
  grpc::Status Capture(grpc::ServerContext* context, const v1::CaptureRequest* request,
                       grpc::ServerWriter<v1::CaptureResponse>* writer) override;
  grpc::Status ListVerdicts(grpc::ServerContext* context, const v1::ListVerdictsRequest* request,
                            v1::ListVerdictsResponse* response) override;
  grpc::Status Doctor(grpc::ServerContext* context, const v1::DoctorRequest* request,
                      v1::DoctorResponse* response) override;

 protected:
  // Who calls, for logs and the history.
  virtual std::string AuthorOf(const grpc::ServerContext& context) const = 0;

 private:
  control::Controller& controller_;
  Watches watches_{controller_};
  std::string version_;
  ConfigReader read_config_;  // may be null
  Checks checks_;             // may be null
  std::string metrics_listen_;
  std::chrono::steady_clock::time_point started_at_ = std::chrono::steady_clock::now();
};

}  // namespace lb::api
