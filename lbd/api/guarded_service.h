// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lbd/api/admission.h"
#include "lbd/api/audit.h"
#include "lbd/api/grpc_status.h"
#include "lbd/api/peer.h"
#include "lbd/api/service.h"

// Every unary call of lb.v1.LoadBalancer. One that is missing here is refused to nobody: a test
// compares with the .proto file.
#define LB_UNARY_CALLS(CALL) \
  CALL(ApplyConfig)          \
  CALL(ConfirmConfig)        \
  CALL(GetConfig)            \
  CALL(ListRevisions)        \
  CALL(DiffConfig)           \
  CALL(RollbackConfig)       \
  CALL(ReloadConfig)         \
  CALL(AddVip)               \
  CALL(UpdateVip)            \
  CALL(DeleteVip)            \
  CALL(ListVips)             \
  CALL(AddReal)              \
  CALL(UpdateReal)           \
  CALL(DeleteReal)           \
  CALL(ListReals)            \
  CALL(GetStatus)            \
  CALL(GetStats)             \
  CALL(ListFlows)            \
  CALL(PurgeFlows)           \
  CALL(ExplainFlow)          \
  CALL(ListVerdicts)         \
  CALL(Doctor)               \
  CALL(GetHealth)            \
  CALL(SetRealHealth)

// And every server stream.
#define LB_STREAM_CALLS(CALL) \
  CALL(WatchEvents)           \
  CALL(WatchStats)            \
  CALL(Capture)

namespace lb::api {

// The service behind its door: who calls must be known, may do what its role allows and only so
// much at a time, and what it changes is written down. Thread-safe.
class GuardedService final : public LoadBalancerService {
 public:
  // `peers` and `audit` outlive this.
  GuardedService(control::Controller& controller, std::string version, ConfigReader read_config,
                 Checks checks, std::string metrics_listen, const Peers& peers,
                 const AuditLog& audit)
      : LoadBalancerService(controller, std::move(version), std::move(read_config),
                            std::move(checks), std::move(metrics_listen)),
        peers_(peers),
        audit_(audit) {}

#define LB_GUARD_UNARY(Method)                                                             \
  grpc::Status Method(grpc::ServerContext* context, const v1::Method##Request* request,    \
                      v1::Method##Response* response) override {                           \
    return Guard(*context, #Method, *request,                                              \
                 [&] { return LoadBalancerService::Method(context, request, response); }); \
  }
#define LB_GUARD_STREAM(Method)                                                          \
  grpc::Status Method(grpc::ServerContext* context, const v1::Method##Request* request,  \
                      grpc::ServerWriter<v1::Method##Response>* writer) override {       \
    return Guard(*context, #Method, *request,                                            \
                 [&] { return LoadBalancerService::Method(context, request, writer); }); \
  }
  LB_UNARY_CALLS(LB_GUARD_UNARY)
  LB_STREAM_CALLS(LB_GUARD_STREAM)
#undef LB_GUARD_UNARY
#undef LB_GUARD_STREAM

 protected:
  std::string AuthorOf(const grpc::ServerContext& context) const override {
    return peers_.Of(context).name;
  }

 private:
  template <typename Request, typename Handler>
  grpc::Status Guard(const grpc::ServerContext& context, std::string_view method,
                     const Request& request, Handler handler) {
    const Peer peer = peers_.Of(context);
    grpc::Status status = Admit(peer, method, request);
    if (status.ok()) {
      status = handler();
      admission_.Leave(peer.name);
    }
    if (IsMutation(method)) audit_.Write(peer, method, request, status);
    return status;
  }
  // OK: the peer has entered.
  grpc::Status Admit(const Peer& peer, std::string_view method,
                     const google::protobuf::Message& request);

  const Peers& peers_;
  const AuditLog& audit_;
  Admission admission_;
};

}  // namespace lb::api
