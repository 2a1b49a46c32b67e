// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/metrics/http_server.h"
#include "lbd/metrics/samples.h"

namespace lb::metrics {

// Why this process is not well, one sentence each; empty: it is.
using Check = std::function<std::vector<std::string>()>;

// What the listener for Prometheus, probes and people serves.
struct Exports {
  std::vector<Source> sources;  // /metrics
  Check alive;                  // /healthz: restart lbd where it says something
  Check ready;                  // /readyz: send no traffic where it says something
  HttpServer::Routes pages;     // anything else
};

// Thread-safe.
StatusOr<std::unique_ptr<HttpServer>> ServeExports(const std::string& address, Exports exports);

// One scrape of `sources`.
std::string Scrape(const std::vector<Source>& sources);

}  // namespace lb::metrics
