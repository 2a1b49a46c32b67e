// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>

#include "lb/v1/load_balancer_service.grpc.pb.h"
#include "lbd/control/controller.h"

namespace lb::api {

// The server streams of lb.v1. Each occupies a thread of gRPC while it lives, so that there are
// only so many; what a slow client has not read waits nowhere. Thread-safe.
class Watches {
 public:
  static constexpr int kMaxStreams = 32;

  explicit Watches(control::Controller& controller) : controller_(controller) {}

  grpc::Status Events(grpc::ServerContext& context, const v1::WatchEventsRequest& request,
                      grpc::ServerWriter<v1::WatchEventsResponse>& writer);
  grpc::Status Stats(grpc::ServerContext& context, const v1::WatchStatsRequest& request,
                     grpc::ServerWriter<v1::WatchStatsResponse>& writer);

 private:
  class Place;

  control::Controller& controller_;
  std::atomic<int> streams_ = 0;
};

}  // namespace lb::api
