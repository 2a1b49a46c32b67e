// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/validate_check.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cctype>

#include "lbd/model/limits.h"

namespace lb::model {
namespace {

// Characters of an HTTP token (RFC 9110, 5.6.2).
bool IsToken(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](unsigned char c) {
    return std::isalnum(c) != 0 || kMarks.find(c) != std::string_view::npos;
  });
}

// What may stand in a line of a request.
bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c >= ' ' && c != 0x7f; });
}

class CheckValidator {
 public:
  explicit CheckValidator(std::string path) : path_(std::move(path)) {}

  void Timing(const CheckTiming& timing) {
    Range("interval_ms", timing.interval_ms, kMinCheckMillis, kMaxCheckInterval);
    Range("timeout_ms", timing.timeout_ms, kMinCheckMillis, kMaxCheckTimeout);
    Range("rise", timing.rise, 1, kMaxCheckCount);
    Range("fall", timing.fall, 1, kMaxCheckCount);
    if (timing.fast_interval_ms) {
      Range("fast_interval_ms", *timing.fast_interval_ms, kMinCheckMillis, timing.interval_ms);
    }
    if (timing.max_interval_ms) {
      Range("max_interval_ms", *timing.max_interval_ms, timing.interval_ms, kMaxCheckInterval);
    }
  }

  void operator()(const TcpCheck&) {}

  void operator()(const HttpCheck& http) {
    if (!IsToken(http.method))
      Add("method", "must be a word such as GET or HEAD, got", http.method);
    if (!http.path.starts_with('/') || !IsPrintable(http.path) ||
        http.path.find(' ') != std::string::npos) {
      Add("path", "must begin with / and have neither spaces nor control characters, got",
          http.path);
    }
    if (!IsPrintable(http.host) || http.host.find_first_of(" /") != std::string::npos) {
      Add("host", "must be a host name, with a port or not, got", http.host);
    }
    for (const auto& [name, value] : http.headers) {
      if (!IsToken(name)) Add("headers", "must be \"Name: value\", got the name", name);
      if (!IsPrintable(value)) Add("headers", "must have no control characters, got", value);
    }
    for (const StatusRange& range : http.statuses) {
      if (range.first < 100 || range.last > 599 || range.first > range.last) {
        problems_.push_back(
            {path_ + ".status", fmt::format("must be 100..599, as \"200\" or \"200-299\", got "
                                            "\"{}-{}\"",
                                            range.first, range.last)});
      }
    }
    for (const auto& [field, text] : {std::pair{"method", &http.method},
                                      {"path", &http.path},
                                      {"host", &http.host},
                                      {"body", &http.body},
                                      {"body_regex", &http.body_regex}}) {
      Length(field, *text);
    }
    if (const RE2 regex(http.body_regex, RE2::Quiet); !regex.ok()) {
      problems_.push_back({path_ + ".body_regex",
                           fmt::format("is no regular expression (RE2): {}", regex.error())});
    }
  }

  void operator()(const HttpsCheck& https) {
    (*this)(https.http);
    const TlsOptions& tls = https.tls;
    Name("server_name", tls.server_name);
    Range("min_days", tls.min_days, 0, 3650);
    Length("ca_file", tls.ca_file);
    if (!tls.ca_file.empty() && tls.ca_file.front() != '/') {
      Add("ca_file", "must be an absolute path, got", tls.ca_file);
    }
    if (!tls.ca_file.empty() && !tls.verify) {
      Add("ca_file", "belongs to verify: true, got", tls.ca_file);
    }
  }

  void operator()(const TlsHelloCheck& hello) { Name("server_name", hello.server_name); }

  void operator()(const UdpCheck& udp) {
    if (udp.send.empty()) Add("send", "is required, got", "");
    Length("send", udp.send);
    Length("expect", udp.expect);
  }

  void operator()(const DnsCheck& dns) {
    Name("name", dns.name);
    if (dns.name.empty()) Add("name", "is required; \".\" is the root, got", "");
    Range("rcode", dns.rcode, 0, 15);
    if (dns.answer.empty()) return;
    const auto address = IpAddress::Parse(dns.answer);
    if (!address.ok() || address->is_v4() != (dns.type == DnsType::kA)) {
      Add("answer", "must be an address of the type that is asked for, got", dns.answer);
    } else if (address->ToString() != dns.answer) {
      Add("answer", fmt::format("must be written as {}, got", address->ToString()), dns.answer);
    }
  }

  void operator()(const IcmpCheck&) {}
  void operator()(const QuicCheck&) {}

  void operator()(const GrpcCheck& grpc) {
    if (grpc.service.size() > kMaxGrpcService) {
      Add("service", fmt::format("at most {} characters, got", kMaxGrpcService), grpc.service);
    }
    if (!IsPrintable(grpc.authority)) Add("authority", "must be printable, got", grpc.authority);
    Length("authority", grpc.authority);
  }

  void Range(std::string_view field, int64_t value, int64_t min, int64_t max) {
    if (value >= min && value <= max) return;
    problems_.push_back({fmt::format("{}.{}", path_, field),
                         fmt::format("must be {}..{}, got {}", min, max, value)});
  }

  std::vector<Problem> Take() { return std::move(problems_); }
  void set_path(std::string path) { path_ = std::move(path); }

 private:
  // A name of the DNS, or none.
  void Name(std::string_view field, const std::string& name) {
    size_t label = 0;
    bool good = name.size() <= 253;
    for (const char c : name) {
      label = c == '.' ? 0 : label + 1;
      good &= label <= 63 && c > ' ' && c != 0x7f;
    }
    if (!good) Add(field, "must be a name such as www.example.com, got", name);
  }

  void Add(std::string_view field, std::string_view message, std::string_view got) {
    problems_.push_back(
        {fmt::format("{}.{}", path_, field), fmt::format("{} \"{}\"", message, got)});
  }

  void Length(std::string_view field, std::string_view text) {
    if (text.size() <= kMaxCheckText) return;
    problems_.push_back({fmt::format("{}.{}", path_, field),
                         fmt::format("at most {} characters, got {}", kMaxCheckText, text.size())});
  }

  std::string path_;
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<Problem> ValidateCheck(const HealthCheck& check, const VipKey& key,
                                   const std::string& path) {
  CheckValidator validator(path);
  validator.Timing(check.timing);
  validator.set_path(fmt::format("{}.{}", path, NameOf(check.kind)));
  std::visit(validator, check.kind);
  std::vector<Problem> problems = validator.Take();
  if (check.port != 0 && !HasPort(check.kind)) {
    problems.push_back({path + ".port", fmt::format("has no meaning for {}", NameOf(check.kind))});
  }
  if (check.port == 0 && key.port == 0 && HasPort(check.kind)) {
    problems.push_back({path + ".port", "is required where the VIP has any_port"});
  }
  if (!check.address) return problems;
  if (!HasPort(check.kind)) {
    problems.push_back(
        {path + ".address",
         fmt::format("has no meaning for {}, which asks the real itself", NameOf(check.kind))});
  } else if (!key.prefix().Contains(*check.address)) {
    problems.push_back(
        {path + ".address", fmt::format("must be an address of the VIP, {}, got {}",
                                        key.prefix().ToString(), check.address->ToString())});
  }
  return problems;
}

}  // namespace lb::model
