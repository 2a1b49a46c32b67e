// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <re2/re2.h>

#include "lbd/health/prober.h"

namespace lb::health {

// A request over HTTP/1.1, and what its answer must be.
class HttpProber final : public StreamProber {
 public:
  // The Host header names `port` unless it is the scheme's.
  HttpProber(const model::HttpCheck& check, const model::VipKey& vip, uint16_t port,
             uint16_t scheme_port = 80);

  std::unique_ptr<StreamAttempt> Start() const override;

 private:
  friend class HttpAttempt;

  bool wants_body() const { return !check_.body.empty() || !check_.body_regex.empty(); }
  bool Accepts(int status) const;
  std::string WantedStatuses() const;

  model::HttpCheck check_;
  std::string request_;
  RE2 regex_;
};

}  // namespace lb::health
