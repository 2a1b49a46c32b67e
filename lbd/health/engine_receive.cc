// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "lbd/health/engine.h"

// What the engine makes of frames: whose they are, and whether they can be believed.
namespace lb::health {
namespace {

constexpr uint8_t kEchoReply4 = 0;
constexpr uint8_t kEchoReply6 = 129;
constexpr uint8_t kUnreachable4 = 3;
constexpr uint8_t kTimeExceeded4 = 11;
constexpr uint8_t kUnreachable6 = 1;
constexpr uint8_t kTimeExceeded6 = 3;
constexpr uint8_t kParameterProblem6 = 4;
constexpr uint8_t kProtocolUnreachable = 2;  // codes of an ICMP unreachable
constexpr uint8_t kPortUnreachable4 = 3;
constexpr uint8_t kFragmentationNeeded = 4;
constexpr uint8_t kUnknownNextHeader = 1;  // code of an ICMPv6 parameter problem
constexpr uint8_t kPortUnreachable6 = 4;   // code of an ICMPv6 unreachable

// So long after our reset the other end may still go on, until it has come there.
constexpr std::chrono::milliseconds kFlight{500};

uint16_t Get16(const uint8_t* bytes) { return bytes[0] << 8 | bytes[1]; }
uint32_t Get32(const uint8_t* bytes) { return uint32_t{Get16(bytes)} << 16 | Get16(bytes + 2); }

// What an ICMP error says, for people; empty: no error that ends a probe.
std::string_view ErrorText(const IcmpMessage& message, bool v4) {
  if (v4) {
    if (message.type == kTimeExceeded4) return "time exceeded";
    if (message.type != kUnreachable4 || message.code == kFragmentationNeeded) return "";
    switch (message.code) {
      case 0:
        return "network unreachable";
      case 1:
        return "host unreachable";
      case kProtocolUnreachable:
        return "protocol unreachable";
      case kPortUnreachable4:
        return "port unreachable";
      case 9:
      case 10:
      case 13:
        return "prohibited";
      default:
        return "unreachable";
    }
  }
  if (message.type == kTimeExceeded6) return "time exceeded";
  if (message.type == kParameterProblem6 && message.code == kUnknownNextHeader) {
    return "unknown next header";
  }
  if (message.type != kUnreachable6) return "";
  switch (message.code) {
    case 0:
      return "no route";
    case 1:
      return "prohibited";
    case 3:
      return "address unreachable";
    case kPortUnreachable6:
      return "port unreachable";
    default:
      return "unreachable";
  }
}

// Of an outer packet. Linux says "port unreachable" where the module of the tunnel is loaded and
// none of its interfaces is for this packet.
bool SaysNoDecap(const IcmpMessage& message, bool v4) {
  if (v4) {
    return message.type == kUnreachable4 &&
           (message.code == kProtocolUnreachable || message.code == kPortUnreachable4);
  }
  return (message.type == kParameterProblem6 && message.code == kUnknownNextHeader) ||
         (message.type == kUnreachable6 && message.code == kPortUnreachable6);
}

}  // namespace

void Engine::OnFrame(Bytes frame, Time received, Time now) {
  const auto packet = ParseFrame(frame);
  if (!packet) {
    ++counters_.malformed;
    return;
  }
  const auto& source = packet->destination.is_v4() ? source_v4_ : source_v6_;
  if (!source || packet->destination != *source || table_v4_ == nullptr) {
    ++counters_.late;
    return;
  }
  switch (packet->protocol) {
    case kTcp:
      return OnTcp(*packet, received, now);
    case kUdp:
      return OnUdp(*packet, received, now);
    case kIcmp:
    case kIcmp6:
      return OnIcmp(*packet, received, now);
    default:
      ++counters_.malformed;
  }
}

void Engine::OnTcp(const Packet& packet, Time received, Time now) {
  const auto segment = ParseTcp(packet);
  if (!segment) {
    ++counters_.malformed;
    return;
  }
  AttemptTable& table = packet.source.is_v4() ? *table_v4_ : *table_v6_;
  Attempt* const attempt = table.At(segment->destination_port);
  if (attempt == nullptr) {
    ++counters_.late;
    return;
  }
  if (attempt->task == nullptr || attempt->stream == nullptr) {
    return OnStray(*attempt, packet, *segment, counters_.late, now);
  }
  const bool expected = packet.source == attempt->flow.destination &&
                        segment->source_port == attempt->flow.destination_port;
  if (!expected) {
    if (OnForeignSource(*attempt, packet, *segment, received, now)) return;
    return OnStray(*attempt, packet, *segment, counters_.rejected, now);
  }
  const TcpClient::Result result = attempt->tcp.OnSegment(segment->header, segment->payload);
  if (result.rejected) return OnStray(*attempt, packet, *segment, counters_.rejected, now);
  if (result.refused) {
    return Finish(*attempt, {Failure::kRefused, "connection refused", ""}, received, now);
  }
  if (result.reset) {
    return Finish(*attempt, {Failure::kEarlyClose, "connection reset by the real", ""}, received,
                  now);
  }
  std::string out;
  std::optional<Outcome> outcome;
  if (result.opened) outcome = attempt->stream->OnOpen(out);
  if (!outcome && !result.data.empty()) outcome = attempt->stream->OnData(result.data, out);
  if (!outcome && result.ended) outcome = attempt->stream->OnEnd();
  if (outcome) return Finish(*attempt, *std::move(outcome), received, now);
  if (!out.empty()) attempt->tcp.Send(out);
  Pump(*attempt, now);
}

bool Engine::OnForeignSource(Attempt& attempt, const Packet& packet, const TcpSegment& segment,
                             Time received, Time now) {
  constexpr uint8_t kBoth = kSyn | kAck;
  if (packet.source != attempt.task->real || attempt.tcp.state() != TcpClient::State::kConnecting ||
      (segment.header.flags & kBoth) != kBoth || segment.header.ack != attempt.isn + 1) {
    return false;
  }
  Finish(attempt,
         {Failure::kWrongSource,
          fmt::format("answer from {}, not from the VIP", packet.source.ToString()), ""},
         received, now);
  return true;
}

void Engine::OnUdp(const Packet& packet, Time received, Time now) {
  const auto datagram = ParseUdp(packet);
  if (!datagram) {
    ++counters_.malformed;
    return;
  }
  Attempt* const attempt = TableOf(packet.source.is_v4()).Find(datagram->destination_port);
  if (attempt == nullptr || attempt->datagram == nullptr || attempt->datagram->is_echo()) {
    ++counters_.late;
    return;
  }
  const bool from_vip = packet.source == attempt->flow.destination;
  if (datagram->source_port != attempt->flow.destination_port ||
      (!from_vip && packet.source != attempt->task->real)) {
    ++counters_.rejected;
    return;
  }
  auto outcome = attempt->datagram->Judge(datagram->payload, attempt->cookie);
  if (!outcome) {
    ++counters_.rejected;
    return;
  }
  if (!from_vip) {
    outcome = {Failure::kWrongSource,
               fmt::format("answer from {}, not from the VIP; bind the server to the VIP",
                           packet.source.ToString()),
               ""};
  }
  Finish(*attempt, *std::move(outcome), received, now);
}

void Engine::OnEchoReply(const Packet& packet, const IcmpMessage& message, Time received,
                         Time now) {
  Attempt* const attempt = TableOf(packet.source.is_v4()).Find(message.id);
  if (attempt == nullptr || attempt->datagram == nullptr || !attempt->datagram->is_echo()) {
    ++counters_.late;
    return;
  }
  auto outcome = attempt->datagram->Judge(message.payload, attempt->cookie);
  if (packet.source != attempt->flow.destination || !outcome) {
    ++counters_.rejected;
    return;
  }
  Finish(*attempt, *std::move(outcome), received, now);
}

void Engine::OnStray(Attempt& attempt, const Packet& packet, const TcpSegment& segment,
                     uint64_t& counter, Time now) {
  if (WasUnderWay(attempt, packet, segment, now)) {
    ++counters_.late;
    return;
  }
  ++counter;
  Reset(attempt, packet, segment, now);
}

bool Engine::WasUnderWay(const Attempt& attempt, const Packet& packet, const TcpSegment& segment,
                         Time now) {
  const Attempt::Ended& ended = attempt.ended;
  return now - kFlight < ended.at && packet.source == ended.address &&
         segment.source_port == ended.port && (segment.header.flags & kAck) != 0 &&
         segment.header.ack - ended.isn <= UINT16_MAX;
}

void Engine::Reset(Attempt& attempt, const Packet& packet, const TcpSegment& segment, Time now) {
  const TcpHeader& header = segment.header;
  if ((header.flags & kRst) != 0 || (header.flags & kAck) == 0) return;
  // It is the last probe with this port that may have left something behind.
  if (packet.source != attempt.flow.destination ||
      segment.source_port != attempt.flow.destination_port || !resets_.Take(now)) {
    return;
  }
  if (SendTcp(attempt, {.seq = header.ack, .flags = kRst}, {})) ++counters_.resets;
}

void Engine::OnIcmp(const Packet& packet, Time received, Time now) {
  const bool v4 = packet.source.is_v4();
  const auto message = ParseIcmp(packet);
  if (!message) {
    ++counters_.malformed;
    return;
  }
  if (message->type == (v4 ? kEchoReply4 : kEchoReply6)) {
    return OnEchoReply(packet, *message, received, now);
  }
  const std::string_view text = ErrorText(*message, v4);
  auto quoted = ParseQuoted(message->payload, v4);
  if (text.empty() || !quoted) {
    ++counters_.late;
    return;
  }
  const auto inner = ParseInner(*quoted, plan_.gue_port);
  const bool tunnelled = inner.has_value();
  if (tunnelled) quoted = inner;
  Attempt* const attempt = quoted ? FindQuoted(*quoted) : nullptr;
  if (attempt == nullptr) {
    ++counters_.rejected;
    return;
  }
  const std::string from = packet.source.ToString();
  if (tunnelled && SaysNoDecap(*message, v4)) {
    return Finish(*attempt,
                  {Failure::kNoDecap,
                   fmt::format("the real does not decapsulate (icmp: {} from {})", text, from), ""},
                  received, now);
  }
  const bool refused = text == "port unreachable";
  Finish(*attempt,
         {refused ? Failure::kRefused : Failure::kUnreachable,
          fmt::format("icmp: {} from {}", text, from), ""},
         received, now);
}

Attempt* Engine::FindQuoted(const Packet& quoted) {
  // 8 bytes behind the IP header are quoted at least.
  const Bytes bytes = quoted.payload;
  const bool v4 = quoted.source.is_v4();
  const auto& source = v4 ? source_v4_ : source_v6_;
  if (bytes.size() < 8 || !source || quoted.source != *source) return nullptr;
  const bool echo = quoted.protocol == kIcmp || quoted.protocol == kIcmp6;
  Attempt* const attempt = TableOf(v4).Find(Get16(&bytes[echo ? 4 : 0]));
  if (attempt == nullptr || quoted.destination != attempt->flow.destination) return nullptr;
  const bool same_port = Get16(&bytes[2]) == attempt->flow.destination_port;
  if (quoted.protocol == kTcp && attempt->stream != nullptr) {
    // Nobody could guess the sequence number.
    return same_port && Get32(&bytes[4]) - attempt->isn <= UINT16_MAX ? attempt : nullptr;
  }
  if (attempt->datagram == nullptr || attempt->datagram->is_echo() != echo) return nullptr;
  if (!echo && (quoted.protocol != kUdp || !same_port)) return nullptr;
  const Bytes body = bytes.subspan(8);
  const size_t size = std::min(body.size(), attempt->request.size());
  return std::memcmp(body.data(), attempt->request.data(), size) == 0 ? attempt : nullptr;
}

}  // namespace lb::health
