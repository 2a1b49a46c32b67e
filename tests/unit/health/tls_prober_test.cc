// SPDX-License-Identifier: Apache-2.0
// Checks inside TLS against a server in memory.
#include "lbd/health/tls_prober.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <array>
#include <fstream>

#include "lbd/health/http_prober.h"
#include "lbd/health/tls_hello_prober.h"

namespace lb::health {
namespace {

using ::testing::HasSubstr;

const model::VipKey kVip = *model::VipKey::Parse("192.0.2.1:443/tcp");

// A TLS server with a certificate of its own for www.test.
class Server {
 public:
  explicit Server(int days) : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), days * 86400L + 3600);
    X509_set_version(certificate_, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), 1);
    X509_set_pubkey(certificate_, key_);
    X509_NAME* const name = X509_get_subject_name(certificate_);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const uint8_t*>("www.test"), -1, -1, 0);
    X509_set_issuer_name(certificate_, name);
    X509_EXTENSION* const names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:www.test");
    X509_add_ext(certificate_, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(certificate_, key_, EVP_sha256());
    context_ = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context_, certificate_);
    SSL_CTX_use_PrivateKey(context_, key_);
    ssl_ = SSL_new(context_);
    SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl_);
  }
  ~Server() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Takes what the client sends and returns what it answers.
  std::string Exchange(const std::string& bytes) {
    BIO_write(SSL_get_rbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
    std::array<char, 4096> buffer;
    if (SSL_do_handshake(ssl_) == 1 && SSL_read(ssl_, buffer.data(), buffer.size()) > 0) {
      const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecure";
      SSL_write(ssl_, answer.data(), static_cast<int>(answer.size()));
    }
    std::string out;
    int size = 0;
    while ((size = BIO_read(SSL_get_wbio(ssl_), buffer.data(), buffer.size())) > 0) {
      out.append(buffer.data(), size);
    }
    return out;
  }

  std::string WriteCertificate() const {
    std::string path = ::testing::TempDir() + "/lbd-ca-XXXXXX";
    const int fd = mkstemp(path.data());
    FILE* const file = fdopen(fd, "w");
    PEM_write_X509(file, certificate_);
    fclose(file);
    return path;
  }

 private:
  EVP_PKEY* key_;
  X509* certificate_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
};

Outcome Probe(const StreamProber& prober, Server& server) {
  const auto attempt = prober.Start();
  std::string out;
  auto outcome = attempt->OnOpen(out);
  for (int round = 0; !outcome && round < 10; ++round) {
    const std::string answer = server.Exchange(std::exchange(out, ""));
    // Bytes come in any pieces.
    for (const char& byte : answer) {
      outcome = attempt->OnData(Bytes(reinterpret_cast<const uint8_t*>(&byte), 1), out);
      if (outcome) break;
    }
  }
  return outcome.value_or(Outcome{Failure::kTimeout, attempt->WaitingFor(), ""});
}

Outcome ProbeHttps(const model::TlsOptions& options, Server& server,
                   const std::string& name = "www.test") {
  const TlsProber prober(
      options, name, kVip.address,
      std::make_unique<HttpProber>(model::HttpCheck{.body = "secure"}, kVip, 443, 443));
  return Probe(prober, server);
}

TEST(TlsProberTest, TheInnerCheckDecides) {
  Server server(30);
  EXPECT_EQ(ProbeHttps({.verify = false}, server), Outcome::Ok());
}

TEST(TlsProberTest, TheCertificateIsVerified) {
  Server trusted(30);
  const std::string path = trusted.WriteCertificate();
  EXPECT_EQ(ProbeHttps({.ca_file = path}, trusted), Outcome::Ok());
  Server stranger(30);
  const Outcome unknown = ProbeHttps({.ca_file = path}, stranger);
  EXPECT_EQ(unknown.failure, Failure::kTls);
  EXPECT_THAT(unknown.reason, HasSubstr("certificate: "));
  Server again(30);
  EXPECT_EQ(ProbeHttps({}, again).reason, "certificate: self-signed certificate");
}

TEST(TlsProberTest, TheNameIsVerified) {
  Server server(30);
  const std::string path = server.WriteCertificate();
  EXPECT_EQ(ProbeHttps({.ca_file = path}, server, "other.test").reason,
            "certificate: hostname mismatch");
}

TEST(TlsProberTest, ACertificateThatExpiresSoonIsAWarning) {
  Server server(5);
  const Outcome outcome = ProbeHttps({.verify = false, .min_days = 14}, server);
  EXPECT_TRUE(outcome.ok());
  EXPECT_EQ(outcome.warning, "its certificate expires in 5 days");
}

TEST(TlsProberTest, AnExpiredCertificateIsRefused) {
  Server server(-10);
  const std::string path = server.WriteCertificate();
  EXPECT_EQ(ProbeHttps({.ca_file = path}, server).reason, "certificate: certificate has expired");
}

TEST(TlsProberTest, WhatIsNotTlsIsNamed) {
  const TlsProber prober({.verify = false}, "", kVip.address,
                         std::make_unique<HttpProber>(model::HttpCheck(), kVip, 443, 443));
  const auto attempt = prober.Start();
  std::string out;
  attempt->OnOpen(out);
  constexpr std::string_view kPlain = "HTTP/1.1 400 Bad Request\r\n\r\n";
  const auto outcome =
      attempt->OnData({reinterpret_cast<const uint8_t*>(kPlain.data()), kPlain.size()}, out);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->failure, Failure::kTls);
}

TEST(TlsProberTest, AMissingFileIsFoundBeforehand) {
  EXPECT_THAT(std::string(TlsProber::Check({.ca_file = "/nowhere.pem"}).message()),
              HasSubstr("ca_file: cannot read certificates from /nowhere.pem"));
  EXPECT_TRUE(TlsProber::Check({.verify = false}).ok());
}

TEST(TlsHelloProberTest, AServerHelloIsEnough) {
  Server server(30);
  EXPECT_EQ(Probe(TlsHelloProber({.server_name = "www.test"}), server), Outcome::Ok());
}

TEST(TlsHelloProberTest, AnAlertIsNoHello) {
  const TlsHelloProber prober({});
  const auto attempt = prober.Start();
  std::string out;
  constexpr std::array<uint8_t, 7> kAlert = {21, 3, 3, 0, 2, 2, 40};
  EXPECT_EQ(attempt->OnData(kAlert, out)->reason, "the server answered by alert 40");
}

}  // namespace
}  // namespace lb::health
