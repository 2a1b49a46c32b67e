// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/prober.h"

#include "lbd/health/dns_prober.h"
#include "lbd/health/grpc_prober.h"
#include "lbd/health/http_prober.h"
#include "lbd/health/icmp_prober.h"
#include "lbd/health/quic_prober.h"
#include "lbd/health/tcp_prober.h"
#include "lbd/health/tls_hello_prober.h"
#include "lbd/health/tls_prober.h"
#include "lbd/health/udp_prober.h"

namespace lb::health {
namespace {

struct Maker {
  const model::VipKey& vip;
  uint16_t port;

  Prober operator()(const model::TcpCheck&) const { return std::make_unique<TcpProber>(); }
  Prober operator()(const model::HttpsCheck& check) const {
    // The name without a port.
    const std::string& host = check.http.host;
    return std::make_unique<TlsProber>(check.tls, host.substr(0, host.find(':')), vip.address,
                                       std::make_unique<HttpProber>(check.http, vip, port, 443));
  }
  Prober operator()(const model::TlsHelloCheck& check) const {
    return std::make_unique<TlsHelloProber>(check);
  }
  Prober operator()(const model::UdpCheck& check) const {
    return std::make_unique<UdpProber>(check);
  }
  Prober operator()(const model::DnsCheck& check) const {
    return std::make_unique<DnsProber>(check);
  }
  Prober operator()(const model::IcmpCheck&) const { return std::make_unique<IcmpProber>(); }
  Prober operator()(const model::QuicCheck&) const { return std::make_unique<QuicProber>(); }
  Prober operator()(const model::GrpcCheck& check) const {
    return std::make_unique<GrpcProber>(check, vip, port);
  }
  Prober operator()(const model::HttpCheck& check) const {
    return std::make_unique<HttpProber>(check, vip, port);
  }
};

}  // namespace

std::string_view ToString(Failure failure) {
  switch (failure) {
    case Failure::kNone:
      return "ok";
#define LB_FAILURE_NAME(Name, name) \
  case Failure::k##Name:            \
    return #name;
      LB_FAILURES(LB_FAILURE_NAME)
#undef LB_FAILURE_NAME
    case Failure::kCount:
      break;
  }
  return "?";
}

Status CheckFiles(const model::CheckKind& kind) {
  const auto* https = std::get_if<model::HttpsCheck>(&kind);
  return https != nullptr ? TlsProber::Check(https->tls) : OkStatus();
}

Prober MakeProber(const model::CheckKind& kind, const model::VipKey& vip, uint16_t port) {
  return std::visit(Maker{vip, port}, kind);
}

}  // namespace lb::health
