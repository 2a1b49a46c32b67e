// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "lbd/model/config.h"
#include "tests/support/packet_builder.h"

// The flow hash over again, from its description and the SipHash paper, sharing nothing with
// lb/flow_hash.h or lbd/base/siphash: what another load balancer of the fleet must compute.
namespace lb::testing {

inline Bytes LittleEndian(uint64_t number) {
  Bytes bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<uint8_t>(number >> (8 * i)));
  return bytes;
}

// SipHash-c-d of a string of bytes (Aumasson and Bernstein, 2012, section 2).
inline uint64_t ReferenceSipHash(int c, int d, uint64_t k0, uint64_t k1, Bytes message) {
  // "somepseudorandomlygeneratedbytes"
  std::array<uint64_t, 4> v = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
                               k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
  const auto rounds = [&v](int count) {
    while (count-- > 0) {
      v[0] += v[1], v[2] += v[3];
      v[1] = std::rotl(v[1], 13) ^ v[0], v[3] = std::rotl(v[3], 16) ^ v[2];
      v[0] = std::rotl(v[0], 32);
      v[2] += v[1], v[0] += v[3];
      v[1] = std::rotl(v[1], 17) ^ v[2], v[3] = std::rotl(v[3], 21) ^ v[0];
      v[2] = std::rotl(v[2], 32);
    }
  };
  const auto length = static_cast<uint8_t>(message.size());
  while (message.size() % 8 != 7) message.push_back(0);
  message.push_back(length);
  for (size_t at = 0; at < message.size(); at += 8) {
    uint64_t word = 0;
    for (size_t i = 0; i < 8; ++i) word += uint64_t{message[at + i]} << (8 * i);
    v[3] ^= word;
    rounds(c);
    v[0] ^= word;
  }
  v[2] ^= 0xff;
  rounds(d);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

// SipHash-1-3 of source address, source port and destination port as they stand in the packet. Its
// key are two SipHash-2-4 under the fleet's secret, of VIP address (16 bytes), port, protocol and 0
// or 1.
inline uint64_t ReferenceFlowHash(const HashKey& secret, const model::VipKey& vip,
                                  const IpAddress& source, uint16_t source_port,
                                  uint16_t destination_port) {
  Bytes name(vip.address.mapped().begin(), vip.address.mapped().end());
  name.insert(name.end(), {static_cast<uint8_t>(vip.port >> 8), static_cast<uint8_t>(vip.port),
                           static_cast<uint8_t>(vip.protocol), 0});
  const uint64_t k0 = ReferenceSipHash(2, 4, secret.k0, secret.k1, name);
  name.back() = 1;
  const uint64_t k1 = ReferenceSipHash(2, 4, secret.k0, secret.k1, name);
  Bytes flow(source.bytes().begin(), source.bytes().end());
  for (const uint16_t port : {source_port, destination_port}) {
    flow.insert(flow.end(), {static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port)});
  }
  return ReferenceSipHash(1, 3, k0, k1, flow);
}

// The slot of a ring of 2^bits: the hash's first bits.
inline size_t ReferenceSlot(uint64_t hash, int bits) { return hash >> (64 - bits); }

// `prefix` with the hash's low 32 bits, least significant byte first, in the last four bytes as far
// as the prefix leaves room.
inline IpAddress ReferenceOuterSource(const IpPrefix& prefix, uint64_t hash) {
  IpAddress::Bytes bytes = prefix.address().mapped();
  const int length = prefix.is_v4() ? prefix.length() + 96 : prefix.length();
  const Bytes hashed = LittleEndian(hash);
  for (int bit = std::max(96, length); bit < 128; ++bit) {
    const int byte = bit / 8;
    bytes[byte] |= hashed[byte - 12] & (0x80 >> bit % 8);
  }
  return IpAddress(bytes);
}

}  // namespace lb::testing
