// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <atomic>

namespace lb::api {

// Lets only so many calls of gRPC's reflection service go on at a time, and cancels the others:
// each holds a thread for as long as its client likes. Thread-safe; outlives its interceptors.
class ReflectionLimit final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  static constexpr int kMaxCalls = 8;

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;

 private:
  std::atomic<int> calls_ = 0;
};

}  // namespace lb::api
