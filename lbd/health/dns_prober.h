// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lbd/health/prober.h"

namespace lb::health {

// A query over UDP (RFC 1035), and what the answer must be.
class DnsProber final : public DatagramProber {
 public:
  explicit DnsProber(const model::DnsCheck& check);

  std::string Request(uint64_t cookie) const override;
  std::optional<Outcome> Judge(Bytes reply, uint64_t cookie) const override;

 private:
  // The addresses in the answer section, as text; empty where the message contradicts itself.
  std::optional<std::vector<std::string>> Answers(Bytes reply) const;

  model::DnsCheck check_;
  std::string question_;
};

}  // namespace lb::health
