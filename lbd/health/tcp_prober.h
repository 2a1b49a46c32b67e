// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lbd/health/prober.h"

namespace lb::health {

// The connection is accepted; that is all. The handshake is not even completed, so that the service
// does not see it.
class TcpProber final : public StreamProber {
 public:
  std::unique_ptr<StreamAttempt> Start() const override;
};

}  // namespace lb::health
