// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lbd/api/service.h"
#include "lbd/control/controller.h"
#include "lbd/metrics/http_server.h"

namespace lb {

// The status page for people, read-only: "/" and the data that it draws, "/console.json".
metrics::HttpServer::Routes ConsoleRoutes(control::Controller& controller,
                                          const std::string& version,
                                          api::LoadBalancerService::Checks checks);

}  // namespace lb
