// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lbd/base/ip_address.h"

namespace lb::model {

// Whether reals are probed at all.
enum class HealthMode : uint8_t {
  kAfXdp,  // along the clients' own path, through AF_XDP sockets
  kNone,   // no checks are made: every real counts as up
};

std::string_view ToString(HealthMode mode);  // "af_xdp", "none"

// Where probes come from. A change of these starts probing anew, with the states as they are.
struct ProbeSettings {
  HealthMode mode = HealthMode::kAfXdp;
  std::optional<IpAddress> source_v4;  // empty: the first of the interface
  std::optional<IpAddress> source_v6;
  uint16_t first_port = 61000;  // source ports, and ids of ICMP echo requests
  uint16_t last_port = 65535;
  bool zero_copy = false;
  bool dataplane_source = false;  // outer source as the forwarder's, not the probe's address

  bool operator==(const ProbeSettings&) const = default;
};

// Three-way comparisons, so that equal checks can share what they need.

// The connection is accepted.
struct TcpCheck {
  auto operator<=>(const TcpCheck&) const = default;
};

struct StatusRange {
  uint16_t first = 200;
  uint16_t last = 299;
  auto operator<=>(const StatusRange&) const = default;
};

// A request is answered by a status of `statuses`, and a body with `body` in it.
struct HttpCheck {
  std::string method = "GET";
  std::string path = "/";
  std::string host;  // empty: the VIP's address, and its port unless that is the scheme's
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<StatusRange> statuses = {{}};
  std::string body;        // empty: any
  std::string body_regex;  // RE2; empty: any
  auto operator<=>(const HttpCheck&) const = default;
};

struct TlsOptions {
  std::string server_name;  // empty: as the check says otherwise
  bool verify = true;       // the chain of certificates, and the name
  std::string ca_file;      // PEM; empty: those of the system
  uint32_t min_days = 0;    // fewer left until the certificate expires are a warning
  auto operator<=>(const TlsOptions&) const = default;
};

// As HttpCheck, inside TLS.
struct HttpsCheck {
  HttpCheck http;
  TlsOptions tls;
  auto operator<=>(const HttpsCheck&) const = default;
};

// A TLS handshake begins: a ClientHello is answered by a ServerHello.
struct TlsHelloCheck {
  std::string server_name;  // empty: none is asked for
  auto operator<=>(const TlsHelloCheck&) const = default;
};

// A datagram is answered by one that contains `expect`.
struct UdpCheck {
  std::string send;
  std::string expect;  // empty: any answer
  auto operator<=>(const UdpCheck&) const = default;
};

enum class DnsType : uint8_t { kA, kAaaa };

std::string_view ToString(DnsType type);  // "a", "aaaa"

// A query over UDP is answered by `rcode`, and with `answer` among the addresses.
struct DnsCheck {
  std::string name;
  DnsType type = DnsType::kA;
  uint32_t rcode = 0;
  std::string answer;  // an address in its shortest form; empty: any
  auto operator<=>(const DnsCheck&) const = default;
};

// The real itself answers an echo request, outside the tunnel.
struct IcmpCheck {
  auto operator<=>(const IcmpCheck&) const = default;
};

// A QUIC server offers its versions.
struct QuicCheck {
  auto operator<=>(const QuicCheck&) const = default;
};

// grpc.health.v1 says SERVING, over HTTP/2 without TLS.
struct GrpcCheck {
  std::string service;    // empty: the server as a whole
  std::string authority;  // empty: the VIP's address and port
  auto operator<=>(const GrpcCheck&) const = default;
};

using CheckKind = std::variant<TcpCheck, HttpCheck, HttpsCheck, TlsHelloCheck, UdpCheck, DnsCheck,
                               IcmpCheck, QuicCheck, GrpcCheck>;

struct CheckTiming {
  uint32_t interval_ms = 2000;
  uint32_t timeout_ms = 1000;
  uint32_t rise = 2;                         // successes in a row until a real that was down is up
  uint32_t fall = 3;                         // failures in a row until a real that was up is down
  std::optional<uint32_t> fast_interval_ms;  // while undecided; empty: a quarter of the interval
  std::optional<uint32_t> max_interval_ms;   // for long-dead reals; empty: 10 s
  bool damping = true;                       // more successes are asked of a real that flaps

  uint32_t fast_interval() const;
  uint32_t max_interval() const;
  auto operator<=>(const CheckTiming&) const = default;
};

// How it is found out whether a real of a VIP serves.
struct HealthCheck {
  CheckKind kind;
  uint16_t port = 0;  // 0: the VIP's, of a range the first
  std::optional<IpAddress>
      address;  // of a prefix, the one that is probed; empty: see ProbedAddress()
  CheckTiming timing;

  bool operator==(const HealthCheck&) const = default;
};

std::string_view NameOf(const CheckKind& kind);  // "tcp", "http", as in documents
bool HasPort(const CheckKind& kind);             // false for icmp

// What the health of its reals means for a VIP.
struct HealthPolicy {
  uint32_t min_healthy = 1;  // with fewer usable reals the VIP counts as down
  bool fail_open = false;    // then every active real gets traffic, as if none had been checked

  bool operator==(const HealthPolicy&) const = default;
};

}  // namespace lb::model
