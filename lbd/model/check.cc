// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/check.h"

#include <algorithm>

namespace lb::model {
namespace {

constexpr uint32_t kShortestFastInterval = 100;
constexpr uint32_t kMaxInterval = 10'000;

struct Namer {
  std::string_view operator()(const TcpCheck&) const { return "tcp"; }
  std::string_view operator()(const HttpCheck&) const { return "http"; }
  std::string_view operator()(const HttpsCheck&) const { return "https"; }
  std::string_view operator()(const TlsHelloCheck&) const { return "tls_hello"; }
  std::string_view operator()(const UdpCheck&) const { return "udp"; }
  std::string_view operator()(const DnsCheck&) const { return "dns"; }
  std::string_view operator()(const IcmpCheck&) const { return "icmp"; }
  std::string_view operator()(const QuicCheck&) const { return "quic"; }
  std::string_view operator()(const GrpcCheck&) const { return "grpc"; }
};

}  // namespace

std::string_view ToString(HealthMode mode) {
  switch (mode) {
    case HealthMode::kAfXdp:
      return "af_xdp";
    case HealthMode::kNone:
      return "none";
  }
  return "?";
}

std::string_view ToString(DnsType type) {
  switch (type) {
    case DnsType::kA:
      return "a";
    case DnsType::kAaaa:
      return "aaaa";
  }
  return "?";
}

bool HasPort(const CheckKind& kind) { return !std::holds_alternative<IcmpCheck>(kind); }

std::string_view NameOf(const CheckKind& kind) { return std::visit(Namer(), kind); }

uint32_t CheckTiming::fast_interval() const {
  return fast_interval_ms.value_or(
      std::min(interval_ms, std::max(kShortestFastInterval, interval_ms / 4)));
}

uint32_t CheckTiming::max_interval() const {
  return max_interval_ms.value_or(std::max(interval_ms, kMaxInterval));
}

}  // namespace lb::model
