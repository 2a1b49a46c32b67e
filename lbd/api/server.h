// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lbd/api/acceptor.h"
#include "lbd/api/call_metrics.h"
#include "lbd/api/config_reader.h"
#include "lbd/api/peer.h"
#include "lbd/api/service.h"
#include "lbd/base/status.h"
#include "lbd/control/controller.h"

namespace lb::api {

// For clients with certificates. The files are read again when they change.
struct TlsOptions {
  std::string cert;       // PEM files: our chain,
  std::string key;        // its key,
  std::string client_ca;  // who signs the certificates of clients
};

// Where and how the API is served.
struct ServerOptions {
  std::string version;  // of lbd
  ConfigReader read_config = nullptr;
  RolePolicy roles;
  std::string audit_log;  // a file; empty: the log
  std::vector<Listener> listeners;
  std::optional<TlsOptions> tls;  // of listeners that are for TLS
  LoadBalancerService::Checks checks = nullptr;
  std::string metrics_listen;    // for the status; empty: nowhere
  CallMetrics* calls = nullptr;  // told of each call; outlives the server
};

// The gRPC server: lb.v1.LoadBalancer, reflection and grpc.health.v1. Thread-safe.
class Server {
 public:
  static StatusOr<std::unique_ptr<Server>> Start(ServerOptions options,
                                                 control::Controller& controller);
  // Finishes the calls under way, for at most two seconds.
  ~Server();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace lb::api
