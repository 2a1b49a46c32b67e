// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/call_metrics.h"

#include <absl/status/status.h>
#include <grpcpp/grpcpp.h>

#include <string_view>

namespace lb::api {
namespace {

using std::chrono::steady_clock;

const prometheus::Histogram::BucketBoundaries kSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                          0.05,   0.1,   0.25,   0.5,   1,    5};

std::string CodeName(grpc::StatusCode code) {
  const auto name = absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
  return name.empty() ? "UNKNOWN" : name;
}

class Timer final : public grpc::experimental::Interceptor {
 public:
  Timer(CallMetrics& metrics, const grpc::experimental::ServerRpcInfo& info) : metrics_(metrics) {
    const std::string_view path = info.method();
    method_ = path.substr(path.rfind('/') + 1);
  }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::PRE_SEND_STATUS)) {
      metrics_.Observe(method_, methods->GetSendStatus().error_code(),
                       steady_clock::now() - start_);
    }
    methods->Proceed();
  }

 private:
  CallMetrics& metrics_;
  std::string method_;
  steady_clock::time_point start_ = steady_clock::now();
};

class TimerFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit TimerFactory(CallMetrics& metrics) : metrics_(metrics) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    // A stream lasts as long as its client likes.
    if (info->type() != grpc::experimental::ServerRpcInfo::Type::UNARY) return nullptr;
    return new Timer(metrics_, *info);  // gRPC owns it
  }

 private:
  CallMetrics& metrics_;
};

}  // namespace

void CallMetrics::Observe(const std::string& method, grpc::StatusCode code,
                          std::chrono::nanoseconds took) {
  MutexLock lock(mutex_);
  const auto [it, fresh] = histograms_.try_emplace({method, code}, kSeconds);
  it->second.Observe(std::chrono::duration<double>(took).count());
}

void CallMetrics::Collect(metrics::Samples& samples) const {
  MutexLock lock(mutex_);
  for (const auto& [key, histogram] : histograms_) {
    samples.Add(metrics::Metric::kRpcSeconds, {key.first, CodeName(key.second)}, histogram);
  }
}

std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
CallMetrics::Interceptors() {
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> factories;
  factories.push_back(std::make_unique<TimerFactory>(*this));
  return factories;
}

}  // namespace lb::api
