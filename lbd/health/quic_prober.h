// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lbd/health/prober.h"

namespace lb::health {

// A long header of a version that nobody has: a QUIC server answers by Version Negotiation
// (RFC 8999, 6), which costs it neither cryptography nor state.
class QuicProber final : public DatagramProber {
 public:
  std::string Request(uint64_t cookie) const override;
  std::optional<Outcome> Judge(Bytes reply, uint64_t cookie) const override;
};

}  // namespace lb::health
