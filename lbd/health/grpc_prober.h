// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lbd/health/prober.h"

namespace lb::health {

// grpc.health.v1.Health/Check over HTTP/2 without TLS (h2c with prior knowledge).
class GrpcProber final : public StreamProber {
 public:
  GrpcProber(const model::GrpcCheck& check, const model::VipKey& vip, uint16_t port);
  std::unique_ptr<StreamAttempt> Start() const override;

 private:
  friend class GrpcAttempt;

  std::string service_;
  std::string authority_;
  std::string message_;  // the request, length-prefixed
};

}  // namespace lb::health
