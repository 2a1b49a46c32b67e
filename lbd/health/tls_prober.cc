// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/tls_prober.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <array>

namespace lb::health {
namespace {

std::string LastError() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : "unknown error";
}

}  // namespace

// The TLS side of the connection is OpenSSL's, over memory.
class TlsAttempt final : public StreamAttempt {
 public:
  explicit TlsAttempt(const TlsProber& prober) : prober_(prober), inner_(prober.inner_->Start()) {}

  std::optional<Outcome> OnOpen(std::string& out) override {
    if (!prober_.context_.ok()) {
      return Outcome{Failure::kTls, Message(prober_.context_.status()), ""};
    }
    ssl_.reset(SSL_new(prober_.context_->get()));
    from_peer_ = BIO_new(BIO_s_mem());
    to_peer_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_.get(), from_peer_, to_peer_);
    SSL_set_connect_state(ssl_.get());
    const std::string& name = prober_.server_name_;
    if (!name.empty()) SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
    if (prober_.options_.verify) {
      if (!name.empty()) {
        SSL_set1_host(ssl_.get(), name.c_str());
      } else {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()),
                                      prober_.address_.ToString().c_str());
      }
    }
    return Step(out);
  }

  std::optional<Outcome> OnData(Bytes data, std::string& out) override {
    if (BIO_write(from_peer_, data.data(), static_cast<int>(data.size())) !=
        static_cast<int>(data.size())) {
      return Outcome{Failure::kTls, "no memory for the answer", ""};
    }
    return Step(out);
  }

  Outcome OnEnd() override {
    if (open_) return inner_->OnEnd();
    return {Failure::kEarlyClose, "connection closed during the TLS handshake", ""};
  }

  std::string WaitingFor() const override {
    return open_ ? inner_->WaitingFor() : "TLS handshake incomplete";
  }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  // Goes on as far as what has come allows.
  std::optional<Outcome> Step(std::string& out) {
    auto outcome = open_ ? std::nullopt : Handshake();
    if (!outcome && open_) outcome = Read();
    Drain(out);
    if (outcome && outcome->ok()) outcome->warning = ExpiryWarning();
    return outcome;
  }

  std::optional<Outcome> Handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result != 1) {
      const int error = SSL_get_error(ssl_.get(), result);
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return std::nullopt;
      const long verdict = SSL_get_verify_result(ssl_.get());
      return Outcome{Failure::kTls,
                     verdict != X509_V_OK
                         ? fmt::format("certificate: {}", X509_verify_cert_error_string(verdict))
                         : LastError(),
                     ""};
    }
    open_ = true;
    std::string plain;
    auto outcome = inner_->OnOpen(plain);
    Write(plain);
    return outcome;
  }

  std::optional<Outcome> Read() {
    std::array<uint8_t, 4096> buffer;
    while (true) {
      ERR_clear_error();
      const int size = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
      if (size <= 0) {
        const int error = SSL_get_error(ssl_.get(), size);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return std::nullopt;
        if (error == SSL_ERROR_ZERO_RETURN) return inner_->OnEnd();
        return Outcome{Failure::kTls, LastError(), ""};
      }
      std::string plain;
      if (auto outcome = inner_->OnData(Bytes(buffer).first(size), plain)) return outcome;
      Write(plain);
    }
  }

  void Write(const std::string& plain) {
    if (!plain.empty()) SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size()));
  }

  void Drain(std::string& out) {
    std::array<char, 4096> buffer;
    while (true) {
      const int size = BIO_read(to_peer_, buffer.data(), static_cast<int>(buffer.size()));
      if (size <= 0) return;
      out.append(buffer.data(), size);
    }
  }

  std::string ExpiryWarning() const {
    X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
    if (prober_.options_.min_days == 0 || certificate == nullptr) return "";
    int days = 0;
    int seconds = 0;
    if (ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate)) != 1 ||
        days >= static_cast<int>(prober_.options_.min_days)) {
      return "";
    }
    return fmt::format("its certificate expires in {} days", days);
  }

  const TlsProber& prober_;
  std::unique_ptr<StreamAttempt> inner_;
  std::unique_ptr<SSL, Free> ssl_;
  BIO* from_peer_ = nullptr;  // both belong to ssl_
  BIO* to_peer_ = nullptr;
  bool open_ = false;
};

TlsProber::TlsProber(const model::TlsOptions& options, const std::string& server_name,
                     const IpAddress& address, std::unique_ptr<StreamProber> inner)
    : options_(options),
      server_name_(options.server_name.empty() ? server_name : options.server_name),
      address_(address),
      inner_(std::move(inner)),
      context_(MakeContext(options)) {}

StatusOr<TlsProber::Context> TlsProber::MakeContext(const model::TlsOptions& options) {
  Context context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return Internal("TLS: " + LastError());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // A probe tests the handshake: sessions are not taken up again.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context.get(), options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (!options.verify) return context;
  const bool loaded =
      options.ca_file.empty()
          ? SSL_CTX_set_default_verify_paths(context.get()) == 1
          : SSL_CTX_load_verify_locations(context.get(), options.ca_file.c_str(), nullptr) == 1;
  if (!loaded) {
    return FailedPrecondition(
        fmt::format("ca_file: cannot read certificates from {}: {}", options.ca_file, LastError()));
  }
  return context;
}

Status TlsProber::Check(const model::TlsOptions& options) { return MakeContext(options).status(); }

std::unique_ptr<StreamAttempt> TlsProber::Start() const {
  return std::make_unique<TlsAttempt>(*this);
}

}  // namespace lb::health
