// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/certificate_check.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>

namespace lb::api {
namespace {

using dataplane::Finding;
using dataplane::Level;
using std::chrono::system_clock;

constexpr std::chrono::hours kSoon{24 * 14};

struct Validity {
  system_clock::time_point from;
  system_clock::time_point until;
};

std::optional<system_clock::time_point> ToTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return system_clock::from_time_t(timegm(&parts));
}

// When all certificates of the file are valid; empty: there is none that can be read.
std::optional<Validity> ReadValidity(const std::string& file) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> in(BIO_new_file(file.c_str(), "r"), BIO_free);
  std::optional<Validity> all;
  while (in != nullptr) {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr), X509_free);
    if (certificate == nullptr) break;
    const auto from = ToTime(X509_get0_notBefore(certificate.get()));
    const auto until = ToTime(X509_get0_notAfter(certificate.get()));
    if (!from || !until) return std::nullopt;
    if (!all) all = {*from, *until};
    all->from = std::max(all->from, *from);
    all->until = std::min(all->until, *until);
  }
  ERR_clear_error();  // the end of the file is one
  return all;
}

std::string Day(system_clock::time_point time) {
  return fmt::format("{:%F %R} UTC", fmt::gmtime(system_clock::to_time_t(time)));
}

Finding Examine(const std::string& file, system_clock::time_point now) {
  Finding finding{"certificate " + file, Level::kFail, "",
                  "put a new one there; lbd reads it again"};
  const auto validity = ReadValidity(file);
  if (!validity) {
    finding.message = "cannot be read";
  } else if (now > validity->until) {
    finding.message = "expired on " + Day(validity->until);
  } else if (now < validity->from) {
    finding.message = "not valid before " + Day(validity->from);
  } else if (now + kSoon > validity->until) {
    finding.level = Level::kWarn;
    finding.message = "expires on " + Day(validity->until);
  } else {
    finding = {finding.check, Level::kOk, "valid until " + Day(validity->until), ""};
  }
  return finding;
}

}  // namespace

std::vector<Finding> ExamineCertificates(const std::vector<std::string>& files,
                                         system_clock::time_point now) {
  std::vector<Finding> findings;
  for (const std::string& file : files) findings.push_back(Examine(file, now));
  return findings;
}

}  // namespace lb::api
