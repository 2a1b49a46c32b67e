// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/reflection_limit.h"

#include <grpcpp/server_context.h>

#include <string_view>

namespace lb::api {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

// One call; lives as long as it does.
class CountedCall final : public grpc::experimental::Interceptor {
 public:
  CountedCall(std::atomic<int>& calls, grpc::ServerContextBase& context)
      : calls_(calls),
        context_(context),
        too_many_(calls.fetch_add(1) >= ReflectionLimit::kMaxCalls) {}
  ~CountedCall() override { calls_.fetch_sub(1); }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (too_many_ &&
        methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      context_.TryCancel();
    }
    methods->Proceed();
  }

 private:
  std::atomic<int>& calls_;
  grpc::ServerContextBase& context_;
  const bool too_many_;
};

}  // namespace

grpc::experimental::Interceptor* ReflectionLimit::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* info) {
  if (!std::string_view(info->method()).starts_with("/grpc.reflection.")) return nullptr;
  return new CountedCall(calls_, *info->server_context());
}

}  // namespace lb::api
