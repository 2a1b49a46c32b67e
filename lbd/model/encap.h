// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace lb::model {

// How packets get to a real.
enum class Encap : uint8_t {
  kIpIp,  // IP in IP: RFC 2003, 2473, 4213
  kGue,   // in UDP: GUE variant 1, as Linux fou and Katran speak it
  kGre,   // RFC 2784, without key and checksum
  kL2,    // unchanged, to the MAC address of the real, which is on a segment of the load balancer
};

std::string_view ToString(Encap encap);  // "ipip", "gue", "gre", "l2"

// Bytes by which a packet grows on its way to a real of that family.
int EncapOverhead(Encap encap, bool real_is_v4);

}  // namespace lb::model
