// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/server_interceptor.h>
#include <prometheus/histogram.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lbd/base/mutex.h"
#include "lbd/metrics/samples.h"

namespace lb::api {

// How long the unary calls of the API took, by method and code. Thread-safe.
class CallMetrics {
 public:
  void Observe(const std::string& method, grpc::StatusCode code, std::chrono::nanoseconds took);
  void Collect(metrics::Samples& samples) const;

  // For a server that this outlives.
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
  Interceptors();

 private:
  using Key = std::pair<std::string, grpc::StatusCode>;

  mutable Mutex mutex_;
  std::map<Key, prometheus::Histogram> histograms_ LB_GUARDED_BY(mutex_);
};

}  // namespace lb::api
