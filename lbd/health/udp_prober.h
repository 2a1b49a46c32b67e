// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lbd/health/prober.h"

namespace lb::health {

// A datagram, and what the answer must contain.
class UdpProber final : public DatagramProber {
 public:
  explicit UdpProber(const model::UdpCheck& check) : check_(check) {}

  std::string Request(uint64_t /*cookie*/) const override { return check_.send; }
  std::optional<Outcome> Judge(Bytes reply, uint64_t cookie) const override;

 private:
  model::UdpCheck check_;
};

}  // namespace lb::health
