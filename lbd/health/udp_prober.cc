// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/udp_prober.h"

#include <fmt/format.h>

#include <string_view>

namespace lb::health {

std::optional<Outcome> UdpProber::Judge(Bytes reply, uint64_t /*cookie*/) const {
  const std::string_view text(reinterpret_cast<const char*>(reply.data()), reply.size());
  if (text.find(check_.expect) != std::string_view::npos) return Outcome::Ok();
  return Outcome{
      Failure::kBody,
      fmt::format("\"{}\" is not in the answer of {} bytes", check_.expect, reply.size()), ""};
}

}  // namespace lb::health
