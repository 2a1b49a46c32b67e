// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lbd/health/prober.h"

namespace lb::health {

// An echo of the real's own address, outside the tunnel.
class IcmpProber final : public DatagramProber {
 public:
  bool is_echo() const override { return true; }
  std::string Request(uint64_t cookie) const override;
  std::optional<Outcome> Judge(Bytes reply, uint64_t cookie) const override;
};

}  // namespace lb::health
