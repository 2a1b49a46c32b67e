// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "lbd/base/status.h"
#include "lbd/control/controller.h"

namespace lb::api {

// The gRPC server: lb.v1.LoadBalancer, reflection and grpc.health.v1. Thread-safe.
class Server {
 public:
  // Listens on `address`, which must be a Unix socket ("unix:/run/lbd/lbd.sock"); its directory is
  // created, and a socket that nobody serves any more is replaced. Owner and group may connect.
  static StatusOr<std::unique_ptr<Server>> Start(const std::string& address,
                                                 control::Controller& controller,
                                                 const std::string& version);
  // Finishes the calls under way, for at most two seconds.
  ~Server();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace lb::api
