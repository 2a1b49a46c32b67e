// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/convert_check.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>

namespace lb::api {
namespace {

using model::Problem;

// "200-299", or "200" for a range of one.
std::optional<std::pair<uint16_t, uint16_t>> ParseRange(std::string_view text) {
  const auto number = [](std::string_view digits) -> std::optional<uint16_t> {
    uint16_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto [next, error] = std::from_chars(digits.data(), end, value);
    if (error != std::errc() || next != end) return std::nullopt;
    return value;
  };
  const size_t dash = text.find('-');
  const auto first = number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : number(text.substr(dash + 1));
  if (!first || !last) return std::nullopt;
  return std::pair{*first, *last};
}

std::string RangeText(uint16_t first, uint16_t last) {
  return first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
}

std::optional<uint32_t> Optional(bool has, uint32_t value) {
  return has ? std::optional(value) : std::nullopt;
}

class KindReader {
 public:
  KindReader(std::string path, std::vector<Problem>& problems)
      : path_(std::move(path)), problems_(problems) {}

  // An HttpCheck or an HttpsCheck: they name the same fields.
  template <typename Proto>
  model::HttpCheck ReadHttp(const Proto& proto) {
    model::HttpCheck http;
    if (!proto.method().empty()) http.method = proto.method();
    if (!proto.path().empty()) http.path = proto.path();
    http.host = proto.host();
    for (int i = 0; i < proto.headers_size(); ++i) ReadHeader(proto.headers(i), i, http);
    if (proto.status_size() > 0) http.statuses.clear();
    for (int i = 0; i < proto.status_size(); ++i) {
      if (const auto range = ParseRange(proto.status(i))) {
        http.statuses.push_back({range->first, range->second});
      } else {
        Add(fmt::format("status[{}]", i),
            fmt::format("must be as \"200\" or \"200-299\", got \"{}\"", proto.status(i)));
      }
    }
    http.body = proto.body();
    http.body_regex = proto.body_regex();
    return http;
  }

  model::HttpsCheck Read(const v1::HttpsCheck& proto) {
    model::HttpsCheck https{.http = ReadHttp(proto), .tls = {}};
    https.tls.server_name = proto.server_name();
    if (proto.has_verify()) https.tls.verify = proto.verify();
    https.tls.ca_file = proto.ca_file();
    https.tls.min_days = proto.min_days();
    return https;
  }

  model::DnsCheck Read(const v1::DnsCheck& proto) {
    model::DnsCheck dns{.name = proto.name(), .rcode = proto.rcode(), .answer = proto.answer()};
    switch (proto.type()) {
      case v1::DNS_TYPE_UNSPECIFIED:
      case v1::DNS_TYPE_A:
        break;
      case v1::DNS_TYPE_AAAA:
        dns.type = model::DnsType::kAaaa;
        break;
      default:
        Add("type", fmt::format("must be a or aaaa, got {}", static_cast<int>(proto.type())));
    }
    return dns;
  }

 private:
  void ReadHeader(const std::string& header, int index, model::HttpCheck& http) {
    const size_t colon = header.find(':');
    if (colon == std::string::npos) {
      Add(fmt::format("headers[{}]", index),
          fmt::format("must be \"Name: value\", got \"{}\"", header));
      return;
    }
    const size_t value = header.find_first_not_of(" \t", colon + 1);
    http.headers.emplace_back(header.substr(0, colon),
                              value == std::string::npos ? "" : header.substr(value));
  }

  void Add(std::string_view field, std::string message) {
    problems_.push_back({fmt::format("{}.{}", path_, field), std::move(message)});
  }

  std::string path_;
  std::vector<Problem>& problems_;
};

struct KindWriter {
  v1::Check& proto;

  void operator()(const model::TcpCheck&) { proto.mutable_tcp(); }
  void operator()(const model::HttpCheck& check) { Write(check, *proto.mutable_http()); }
  void operator()(const model::HttpsCheck& check) {
    v1::HttpsCheck& https = *proto.mutable_https();
    Write(check.http, https);
    https.set_server_name(check.tls.server_name);
    https.set_verify(check.tls.verify);
    https.set_ca_file(check.tls.ca_file);
    https.set_min_days(check.tls.min_days);
  }
  void operator()(const model::TlsHelloCheck& check) {
    proto.mutable_tls_hello()->set_server_name(check.server_name);
  }
  void operator()(const model::UdpCheck& check) {
    proto.mutable_udp()->set_send(check.send);
    proto.mutable_udp()->set_expect(check.expect);
  }
  void operator()(const model::DnsCheck& check) {
    v1::DnsCheck& dns = *proto.mutable_dns();
    dns.set_name(check.name);
    dns.set_type(check.type == model::DnsType::kAaaa ? v1::DNS_TYPE_AAAA : v1::DNS_TYPE_A);
    dns.set_rcode(check.rcode);
    dns.set_answer(check.answer);
  }
  void operator()(const model::IcmpCheck&) { proto.mutable_icmp(); }
  void operator()(const model::QuicCheck&) { proto.mutable_quic(); }
  void operator()(const model::GrpcCheck& check) {
    proto.mutable_grpc()->set_service(check.service);
    proto.mutable_grpc()->set_authority(check.authority);
  }

  template <typename Proto>
  static void Write(const model::HttpCheck& check, Proto& http) {
    http.set_method(check.method);
    http.set_path(check.path);
    http.set_host(check.host);
    for (const auto& [name, value] : check.headers) http.add_headers(name + ": " + value);
    for (const model::StatusRange& range : check.statuses) {
      http.add_status(RangeText(range.first, range.last));
    }
    http.set_body(check.body);
    http.set_body_regex(check.body_regex);
  }
};

std::optional<IpAddress> ReadAddress(const std::string& text, const std::string& path,
                                     std::vector<Problem>& problems) {
  if (text.empty()) return std::nullopt;
  const auto address = IpAddress::Parse(text);
  if (!address.ok()) {
    problems.push_back({path, Message(address.status())});
    return std::nullopt;
  }
  return *address;
}

}  // namespace

model::HealthCheck CheckFromProto(const v1::Check& proto, const std::string& path,
                                  std::vector<Problem>& problems) {
  model::HealthCheck check;
  switch (proto.kind_case()) {
    case v1::Check::kTcp:
      check.kind = model::TcpCheck();
      break;
    case v1::Check::kHttp:
      check.kind = KindReader(path + ".http", problems).ReadHttp(proto.http());
      break;
    case v1::Check::kHttps:
      check.kind = KindReader(path + ".https", problems).Read(proto.https());
      break;
    case v1::Check::kTlsHello:
      check.kind = model::TlsHelloCheck{proto.tls_hello().server_name()};
      break;
    case v1::Check::kUdp:
      check.kind = model::UdpCheck{proto.udp().send(), proto.udp().expect()};
      break;
    case v1::Check::kDns:
      check.kind = KindReader(path + ".dns", problems).Read(proto.dns());
      break;
    case v1::Check::kIcmp:
      check.kind = model::IcmpCheck();
      break;
    case v1::Check::kQuic:
      check.kind = model::QuicCheck();
      break;
    case v1::Check::kGrpc:
      check.kind = model::GrpcCheck{proto.grpc().service(), proto.grpc().authority()};
      break;
    case v1::Check::KIND_NOT_SET:
      problems.push_back({path,
                          "needs a kind, as in \"tcp: {}\": tcp, http, https, tls_hello, udp, "
                          "dns, icmp, quic or grpc"});
      break;
  }
  if (proto.has_port()) {
    if (proto.port() == 0 || proto.port() > 65535) {
      problems.push_back({path + ".port", fmt::format("must be 1..65535, got {}", proto.port())});
    }
    check.port = proto.port();
  }
  check.address = ReadAddress(proto.address(), path + ".address", problems);
  model::CheckTiming& timing = check.timing;
  if (proto.has_interval_ms()) timing.interval_ms = proto.interval_ms();
  if (proto.has_timeout_ms()) timing.timeout_ms = proto.timeout_ms();
  if (proto.has_rise()) timing.rise = proto.rise();
  if (proto.has_fall()) timing.fall = proto.fall();
  timing.fast_interval_ms = Optional(proto.has_fast_interval_ms(), proto.fast_interval_ms());
  timing.max_interval_ms = Optional(proto.has_max_interval_ms(), proto.max_interval_ms());
  if (proto.has_damping()) timing.damping = proto.damping();
  return check;
}

model::ProbeSettings ProbesFromProto(const v1::Config& proto, std::vector<Problem>& problems) {
  model::ProbeSettings probes;
  switch (proto.health()) {
    case v1::HEALTH_MODE_UNSPECIFIED:
    case v1::HEALTH_MODE_AF_XDP:
      break;
    case v1::HEALTH_MODE_NONE:
      probes.mode = model::HealthMode::kNone;
      break;
    default:
      problems.push_back({"health", fmt::format("must be af_xdp or none, got {}",
                                                static_cast<int>(proto.health()))});
  }
  probes.source_v4 = ReadAddress(proto.probes().source_v4(), "probes.source_v4", problems);
  probes.source_v6 = ReadAddress(proto.probes().source_v6(), "probes.source_v6", problems);
  if (const std::string& ports = proto.probes().ports(); !ports.empty()) {
    if (const auto range = ParseRange(ports)) {
      probes.first_port = range->first;
      probes.last_port = range->second;
    } else {
      problems.push_back(
          {"probes.ports", fmt::format("must be as \"61000-65535\", got \"{}\"", ports)});
    }
  }
  probes.zero_copy = proto.probes().zero_copy();
  probes.dataplane_source = proto.probes().dataplane_source();
  return probes;
}

v1::Check ToProto(const model::HealthCheck& check) {
  v1::Check proto;
  std::visit(KindWriter{proto}, check.kind);
  if (check.port != 0) proto.set_port(check.port);
  if (check.address) proto.set_address(check.address->ToString());
  const model::CheckTiming& timing = check.timing;
  proto.set_interval_ms(timing.interval_ms);
  proto.set_timeout_ms(timing.timeout_ms);
  proto.set_rise(timing.rise);
  proto.set_fall(timing.fall);
  if (timing.fast_interval_ms) proto.set_fast_interval_ms(*timing.fast_interval_ms);
  if (timing.max_interval_ms) proto.set_max_interval_ms(*timing.max_interval_ms);
  proto.set_damping(timing.damping);
  return proto;
}

void WriteProbes(const model::ProbeSettings& probes, v1::Config& proto) {
  proto.set_health(probes.mode == model::HealthMode::kNone ? v1::HEALTH_MODE_NONE
                                                           : v1::HEALTH_MODE_AF_XDP);
  v1::Probes& out = *proto.mutable_probes();
  if (probes.source_v4) out.set_source_v4(probes.source_v4->ToString());
  if (probes.source_v6) out.set_source_v6(probes.source_v6->ToString());
  out.set_ports(RangeText(probes.first_port, probes.last_port));
  out.set_zero_copy(probes.zero_copy);
  out.set_dataplane_source(probes.dataplane_source);
}

}  // namespace lb::api
