// SPDX-License-Identifier: Apache-2.0
// A malicious real: every frame that it could send, at any moment of a probe of any kind.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <vector>

#include "lbd/health/engine.h"

namespace lb::health {
namespace {

constexpr int kIfindex = 7;
constexpr size_t kMaxSent = 4096;

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// What is left of the input.
class Input {
 public:
  explicit Input(Bytes bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }
  uint8_t Byte() {
    if (bytes_.empty()) return 0;
    const uint8_t byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return byte;
  }
  uint16_t Word() { return Byte() << 8 | Byte(); }
  Bytes Take(size_t size) {
    const Bytes taken = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

 private:
  Bytes bytes_;
};

class RecordingWire final : public Wire {
 public:
  std::span<uint8_t> Reserve(int /*ifindex*/) override { return buffer_; }
  void Commit(size_t size) override {
    Require(size <= buffer_.size(), "a frame is longer than its room");
    if (size == 0) return;
    ++count;
    Require(count < kMaxSent, "a storm is answered by a storm");
    last.assign(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(size));
  }
  std::string Problem(int /*ifindex*/) const override { return ""; }
  std::string Loss(Time /*now*/) override { return ""; }

  size_t count = 0;
  std::vector<uint8_t> last;

 private:
  std::array<uint8_t, 2048> buffer_{};
};

model::CheckKind KindOf(uint8_t byte) {
  switch (byte % 9) {
    case 0:
      return model::TcpCheck();
    case 1:
      return model::HttpCheck{.body = "needle", .body_regex = "n(e|d)+le"};
    case 2:
      return model::HttpsCheck{.http = {}, .tls = {.verify = false, .min_days = 7}};
    case 3:
      return model::TlsHelloCheck();
    case 4:
      return model::UdpCheck{.send = "ping", .expect = "pong"};
    case 5:
      return model::DnsCheck{.name = "www.test", .answer = "192.0.2.7"};
    case 6:
      return model::IcmpCheck();
    case 7:
      return model::QuicCheck();
    default:
      return model::GrpcCheck{.service = "x"};
  }
}

class Duel {
 public:
  explicit Duel(Bytes bytes)
      : input_(bytes),
        engine_(
            wire_, {1, 2}, [](const Transition&) {}, now_) {}

  void Fight() {
    v4_ = input_.Byte() % 2 == 0;
    Begin(KindOf(input_.Byte()));
    while (!input_.empty()) Turn();
    const Report report = engine_.MakeReport({.detail = Detail::kHistory}, now_);
    Require(report.in_flight <= 1, "a probe is under way twice");
    now_ += std::chrono::minutes(1);
    engine_.Advance(now_);
  }

 private:
  void Begin(const model::CheckKind& kind) {
    const auto address = [&](const char* a4, const char* a6) {
      return *IpAddress::Parse(v4_ ? a4 : a6);
    };
    source_ = address("192.0.2.10", "2001:db8::10");
    vip_ = {.address = address("192.0.2.80", "2001:db8::80"), .port = 80};
    real_ = address("10.0.0.1", "2001:db8:1::1");
    Plan plan;
    plan.vips = {{.key = vip_, .checks = {{.kind = kind}}, .reals = {{real_, State::kUp}}}};
    Network network;
    network.hops = {{.real = real_,
                     .hop = {.ifindex = kIfindex, .interface = "eth0", .mtu = 1500},
                     .problem = ""}};
    network.attachments = {{.interface = "eth0", .mode = model::XdpMode::kNative, .link_up = true}};
    network.addresses["eth0"] = {source_};
    engine_.SetPlan(plan, now_);
    engine_.SetNetwork(network, now_);
    Pass(2500);
  }

  void Pass(int milliseconds) {
    for (int i = 0; i < milliseconds && wire_.last.empty(); ++i) {
      now_ += std::chrono::milliseconds(1);
      engine_.Advance(now_);
    }
  }

  // One frame of the real, or some time.
  void Turn() {
    switch (input_.Byte() % 8) {
      case 0:
        wire_.last.clear();
        return Pass(input_.Byte() * 8);
      case 1:
        return Raw();
      case 2:
        return Icmp();
      case 3:
        return Datagram();
      default:
        return Segment();
    }
  }

  void Give(Bytes frame) { engine_.OnFrame(frame, now_, now_); }

  void Raw() {
    const Bytes frame = input_.Take(input_.Byte());
    // In memory of its own size, so that a sanitizer sees every byte too far.
    const std::vector<uint8_t> exact(frame.begin(), frame.end());
    Give(exact);
  }

  // What the last frame of ours was about.
  std::optional<Packet> LastSent() const {
    const auto outer = ParseFrame(wire_.last);
    if (!outer) return std::nullopt;
    if (outer->protocol != 4 && outer->protocol != 41) return outer;
    return ParseQuoted(outer->payload, outer->protocol == 4);
  }

  IpAddress From() { return input_.Byte() % 16 == 0 ? real_ : vip_.address; }

  void Segment() {
    const auto sent = LastSent();
    const auto ours = sent ? ParseTcp(*sent) : std::nullopt;
    TcpHeader header{.seq = static_cast<uint32_t>(1000 + received_ + input_.Byte() % 4 * 50),
                     .flags = input_.Byte(),
                     .window = input_.Word(),
                     .mss = static_cast<uint16_t>(input_.Byte())};
    uint16_t port = 61000 + input_.Byte() % 2;
    if (ours) {
      port = ours->source_port;
      header.ack = ours->header.seq + static_cast<uint32_t>(ours->payload.size()) +
                   ((ours->header.flags & kSyn) != 0 ? 1 : 0) + input_.Byte() % 3;
    }
    const Bytes payload = input_.Take(input_.Byte() * 4);
    if ((header.flags & kSyn) != 0) received_ = 1;
    received_ += payload.size();
    std::array<uint8_t, 2048> buffer;
    const size_t size = WriteTcp(
        buffer, Route(),
        {.source = From(), .destination = source_, .source_port = 80, .destination_port = port},
        header, payload);
    const std::vector<uint8_t> exact(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(size));
    Give(exact);
  }

  void Datagram() {
    const auto sent = LastSent();
    const auto ours = sent ? ParseUdp(*sent) : std::nullopt;
    std::vector<uint8_t> payload;
    if (ours && input_.Byte() % 4 != 0) {
      payload.assign(ours->payload.begin(), ours->payload.end());
      // A DNS answer begins as its query does.
      if (payload.size() > 3) payload[2] |= input_.Byte();
    }
    const Bytes more = input_.Take(input_.Byte());
    payload.insert(payload.end(), more.begin(), more.end());
    std::array<uint8_t, 4096> buffer;
    const size_t size = WriteUdp(buffer, Route(),
                                 {.source = From(),
                                  .destination = source_,
                                  .source_port = 80,
                                  .destination_port = ours ? ours->source_port : input_.Word()},
                                 payload);
    Give(Bytes(buffer).first(size));
  }

  // An error that quotes us, or an answer to an echo, under a right checksum.
  void Icmp() {
    std::array<uint8_t, 4096> buffer;
    std::vector<uint8_t> quoted;
    if (wire_.last.size() > 14) quoted.assign(wire_.last.begin() + 14, wire_.last.end());
    if (!quoted.empty() && input_.Byte() % 4 == 0) {
      quoted[input_.Byte() % quoted.size()] ^= input_.Byte();
    }
    quoted.resize(std::min<size_t>(quoted.size(), input_.Byte() * 2));
    // Written as an echo request, then made what the input wants.
    const size_t size = WriteEchoRequest(
        buffer, Route(),
        {.source = input_.Byte() % 2 == 0 ? real_ : vip_.address, .destination = source_}, 61000,
        0x6c62, quoted);
    const size_t at = 14 + (v4_ ? 20 : 40);
    const uint8_t old[2] = {buffer[at], buffer[at + 1]};
    buffer[at] = input_.Byte() % 16;
    buffer[at + 1] = input_.Byte() % 8;
    // RFC 1624.
    uint32_t sum = 0xffff - (buffer[at + 2] << 8 | buffer[at + 3]);
    sum += 0xffff - (old[0] << 8 | old[1]) + (buffer[at] << 8 | buffer[at + 1]);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    buffer[at + 2] = (0xffff - sum) >> 8;
    buffer[at + 3] = (0xffff - sum) & 0xff;
    Give(Bytes(buffer).first(size));
  }

  Input input_;
  Time now_{std::chrono::seconds(1000)};
  RecordingWire wire_;
  Engine engine_;
  bool v4_ = true;
  IpAddress source_;
  IpAddress real_;
  model::VipKey vip_;
  uint32_t received_ = 0;
};

}  // namespace
}  // namespace lb::health

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  lb::health::Duel(lb::health::Bytes(data, size)).Fight();
  return 0;
}
