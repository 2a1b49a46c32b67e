// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lbd/health/prober.h"

namespace lb::health {

// A ClientHello that a TLS server answers by a ServerHello (RFC 8446, RFC 5246): the handshake is
// not completed, which costs a tenth of it.
class TlsHelloProber final : public StreamProber {
 public:
  explicit TlsHelloProber(const model::TlsHelloCheck& check);
  std::unique_ptr<StreamAttempt> Start() const override;

 private:
  std::string hello_;
};

}  // namespace lb::health
