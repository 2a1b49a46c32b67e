// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/quic_prober.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace lb::health {
namespace {

// Servers drop shorter ones (RFC 9000, 14.1).
constexpr size_t kDatagram = 1200;
// Of the form that is reserved to force negotiation (RFC 9000, 15).
constexpr std::string_view kVersion = "\x1a\x2a\x3a\x4a";
constexpr size_t kIdBytes = 8;
// Form, version, and both connection ids with their lengths.
constexpr size_t kHeader = 1 + 4 + 2 * (1 + kIdBytes);

// The connection ids by which the answer is known: ours, and the one that we made up for the
// server.
std::string IdOf(uint64_t cookie, bool ours) {
  const uint64_t value = ours ? cookie : ~cookie * 0x9e3779b97f4a7c15;
  std::string id(kIdBytes, '\0');
  std::memcpy(id.data(), &value, sizeof(value));
  return id;
}

std::string Identified(std::string_view version, uint8_t first, const std::string& destination,
                       const std::string& source) {
  std::string packet(1, static_cast<char>(first));
  packet += version;
  packet += static_cast<char>(kIdBytes);
  packet += destination;
  packet += static_cast<char>(kIdBytes);
  packet += source;
  return packet;
}

}  // namespace

std::string QuicProber::Request(uint64_t cookie) const {
  std::string packet = Identified(kVersion, 0xc0, IdOf(cookie, false), IdOf(cookie, true));
  packet.resize(kDatagram, '\0');
  return packet;
}

std::optional<Outcome> QuicProber::Judge(Bytes reply, uint64_t cookie) const {
  constexpr std::string_view kNegotiation("\0\0\0\0", 4);
  const std::string wanted = Identified(kNegotiation, 0, IdOf(cookie, true), IdOf(cookie, false));
  if (reply.size() < kHeader || (reply[0] & 0x80) == 0 ||
      !std::ranges::equal(reply.subspan(1, kHeader - 1), std::string_view(wanted).substr(1), {}, {},
                          [](char c) { return static_cast<uint8_t>(c); })) {
    return std::nullopt;
  }
  if (reply.size() < kHeader + 4 || (reply.size() - kHeader) % 4 != 0) {
    return Outcome{Failure::kProtocol, "the server offers no version of QUIC", ""};
  }
  return Outcome::Ok();
}

}  // namespace lb::health
