// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "lbd/base/status.h"
#include "lbd/health/prober.h"

namespace lb::health {

// Another check, inside TLS: a full handshake, with the certificate verified or not.
class TlsProber final : public StreamProber {
 public:
  // `server_name` is asked for (SNI) and must be in the certificate, unless `options` names
  // another; empty: none, and the certificate must be for `address`.
  TlsProber(const model::TlsOptions& options, const std::string& server_name,
            const IpAddress& address, std::unique_ptr<StreamProber> inner);

  std::unique_ptr<StreamAttempt> Start() const override;
  bool is_expensive() const override { return true; }

  // Whether what `options` names can be used.
  static Status Check(const model::TlsOptions& options);

 private:
  friend class TlsAttempt;

  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  using Context = std::unique_ptr<SSL_CTX, Free>;
  static StatusOr<Context> MakeContext(const model::TlsOptions& options);

  model::TlsOptions options_;
  std::string server_name_;
  IpAddress address_;
  std::unique_ptr<StreamProber> inner_;
  StatusOr<Context> context_;
};

}  // namespace lb::health
