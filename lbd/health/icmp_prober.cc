// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/icmp_prober.h"

#include <cstring>

namespace lb::health {

std::string IcmpProber::Request(uint64_t cookie) const {
  std::string payload(sizeof(cookie), '\0');
  std::memcpy(payload.data(), &cookie, sizeof(cookie));
  return payload;
}

std::optional<Outcome> IcmpProber::Judge(Bytes reply, uint64_t cookie) const {
  if (reply.size() != sizeof(cookie) || std::memcmp(reply.data(), &cookie, sizeof(cookie)) != 0) {
    return std::nullopt;
  }
  return Outcome::Ok();
}

}  // namespace lb::health
