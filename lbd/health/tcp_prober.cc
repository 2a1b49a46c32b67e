// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/tcp_prober.h"

namespace lb::health {
namespace {

class TcpAttempt final : public StreamAttempt {
 public:
  std::optional<Outcome> OnOpen(std::string& /*out*/) override { return Outcome::Ok(); }
  std::optional<Outcome> OnData(Bytes /*data*/, std::string& /*out*/) override {
    return Outcome::Ok();
  }
  Outcome OnEnd() override { return Outcome::Ok(); }
  std::string WaitingFor() const override { return ""; }
};

}  // namespace

std::unique_ptr<StreamAttempt> TcpProber::Start() const { return std::make_unique<TcpAttempt>(); }

}  // namespace lb::health
