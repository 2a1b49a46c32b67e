// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace lb::model {

inline constexpr int kQuicLbConfigs = 7;  // config ids 0..6; the eighth stands for "by flow hash"
inline constexpr int kMaxServerIdBytes = 6;

// By what packets of a VIP name the real that they belong to; each real has a server id then.
struct RouteById {
  // QUIC: bytes of the server id by config id (draft-ietf-quic-load-balancers, in plain text);
  // 0 = this config id is not used.
  std::array<uint8_t, kQuicLbConfigs> quic_lb{};
  bool quic_katran = false;  // QUIC: Katran's connection ids of versions 1, 2 and 3
  bool tcp_option = false;   // TCP: the option of Katran's TPR, repeated by the client

  bool any_quic_lb() const { return quic_lb != decltype(quic_lb){}; }
  bool quic() const { return quic_katran || any_quic_lb(); }
  bool any() const { return quic() || tcp_option; }
  bool operator==(const RouteById&) const = default;
};

// "quic_lb 0:2, quic_katran, tcp_option", or "off".
std::string ToString(const RouteById& route);

}  // namespace lb::model
