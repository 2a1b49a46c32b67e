// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/diff_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace lb::model {
namespace {

std::string Show(const std::string& text) { return fmt::format("\"{}\"", text); }
std::string Show(uint32_t number) { return fmt::format("{}", number); }
std::string Show(bool value) { return value ? "true" : "false"; }
std::string Show(DnsType type) { return std::string(ToString(type)); }
std::string Show(const std::vector<StatusRange>& ranges) {
  std::vector<std::string> texts;
  for (const auto& [first, last] : ranges) {
    texts.push_back(first == last ? Show(uint32_t{first}) : fmt::format("{}-{}", first, last));
  }
  return fmt::format("[{}]", fmt::join(texts, ", "));
}
std::string Show(const std::optional<IpAddress>& address) {
  return address ? address->ToString() : "default";
}
std::string Show(const std::optional<uint32_t>& number) {
  return number ? Show(*number) : "default";
}

// Of one check.
class CheckDiffer {
 public:
  explicit CheckDiffer(size_t index) : subject_(fmt::format("checks[{}]", index)) {}

  void Check(const HealthCheck& a, const HealthCheck& b) {
    if (a.kind.index() != b.kind.index()) {
      Note(fmt::format("{} -> {}", NameOf(a.kind), NameOf(b.kind)));
    } else {
      kind_ = NameOf(a.kind);
      std::visit([&]<typename Kind>(const Kind& before) { Fields(before, std::get<Kind>(b.kind)); },
                 a.kind);
    }
    kind_.clear();
    Field("port", uint32_t{a.port}, uint32_t{b.port});
    Field("address", a.address, b.address);
    Field("interval_ms", a.timing.interval_ms, b.timing.interval_ms);
    Field("timeout_ms", a.timing.timeout_ms, b.timing.timeout_ms);
    Field("rise", a.timing.rise, b.timing.rise);
    Field("fall", a.timing.fall, b.timing.fall);
    Field("fast_interval_ms", a.timing.fast_interval_ms, b.timing.fast_interval_ms);
    Field("max_interval_ms", a.timing.max_interval_ms, b.timing.max_interval_ms);
    Field("damping", a.timing.damping, b.timing.damping);
  }
  void Added(const HealthCheck& check) { Note(fmt::format("+ {}", NameOf(check.kind))); }
  void Removed(const HealthCheck& check) { Note(fmt::format("- {}", NameOf(check.kind))); }

  std::vector<std::string> Take() { return std::move(lines_); }

 private:
  void Fields(const TcpCheck&, const TcpCheck&) {}
  void Fields(const IcmpCheck&, const IcmpCheck&) {}
  void Fields(const QuicCheck&, const QuicCheck&) {}
  void Fields(const HttpCheck& a, const HttpCheck& b) {
    Field("method", a.method, b.method);
    Field("path", a.path, b.path);
    Field("host", a.host, b.host);
    Secret("headers", a.headers == b.headers);
    Field("status", a.statuses, b.statuses);
    Field("body", a.body, b.body);
    Field("body_regex", a.body_regex, b.body_regex);
  }
  void Fields(const HttpsCheck& a, const HttpsCheck& b) {
    Fields(a.http, b.http);
    Field("server_name", a.tls.server_name, b.tls.server_name);
    Field("verify", a.tls.verify, b.tls.verify);
    Field("ca_file", a.tls.ca_file, b.tls.ca_file);
    Field("min_days", a.tls.min_days, b.tls.min_days);
  }
  void Fields(const TlsHelloCheck& a, const TlsHelloCheck& b) {
    Field("server_name", a.server_name, b.server_name);
  }
  void Fields(const UdpCheck& a, const UdpCheck& b) {
    Secret("send", a.send == b.send);
    Field("expect", a.expect, b.expect);
  }
  void Fields(const DnsCheck& a, const DnsCheck& b) {
    Field("name", a.name, b.name);
    Field("type", a.type, b.type);
    Field("rcode", a.rcode, b.rcode);
    Field("answer", a.answer, b.answer);
  }
  void Fields(const GrpcCheck& a, const GrpcCheck& b) {
    Field("service", a.service, b.service);
    Field("authority", a.authority, b.authority);
  }

  template <typename T>
  void Field(std::string_view name, const T& a, const T& b) {
    if (a != b) Note(fmt::format("{} {} -> {}", Path(name), Show(a), Show(b)));
  }
  void Secret(std::string_view name, bool same) {
    if (!same) Note(Path(name));
  }
  std::string Path(std::string_view name) const {
    return kind_.empty() ? std::string(name) : fmt::format("{}.{}", kind_, name);
  }
  void Note(const std::string& text) { lines_.push_back(fmt::format("{} {}", subject_, text)); }

  std::string subject_;
  std::string kind_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> DiffChecks(const std::vector<HealthCheck>& before,
                                    const std::vector<HealthCheck>& after) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < std::max(before.size(), after.size()); ++i) {
    CheckDiffer differ(i);
    if (i >= after.size()) {
      differ.Removed(before[i]);
    } else if (i >= before.size()) {
      differ.Added(after[i]);
    } else {
      differ.Check(before[i], after[i]);
    }
    std::ranges::move(differ.Take(), std::back_inserter(lines));
  }
  return lines;
}

}  // namespace lb::model
