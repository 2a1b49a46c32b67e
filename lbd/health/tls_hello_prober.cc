// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/tls_hello_prober.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <string_view>

namespace lb::health {
namespace {

constexpr uint8_t kAlert = 21;
constexpr uint8_t kHandshake = 22;
constexpr uint8_t kServerHello = 2;
constexpr size_t kRecordHeader = 5;

void Append8(std::string& out, size_t value) { out += static_cast<char>(value & 0xff); }
void Append16(std::string& out, size_t value) {
  Append8(out, value >> 8);
  Append8(out, value);
}

std::string Random32() {
  std::string bytes(32, '\0');
  RAND_bytes(reinterpret_cast<uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  return bytes;
}

// `body` behind its length of 16 bits.
std::string Counted16(std::string_view body) {
  std::string out;
  Append16(out, body.size());
  return out.append(body);
}

std::string Extension(uint16_t type, std::string_view body) {
  std::string out;
  Append16(out, type);
  return out + Counted16(body);
}

std::string ServerName(const std::string& name) {
  if (name.empty()) return "";
  std::string entry(1, '\0');  // host_name
  entry += Counted16(name);
  return Extension(0, Counted16(entry));
}

using namespace std::string_view_literals;

// As a browser of today would begin. The key share is any 32 bytes: nobody computes with it here.
std::string MakeHello(const std::string& server_name) {
  std::string share;
  Append16(share, 0x001d);  // x25519
  share += Counted16(Random32());
  const std::string extensions =
      ServerName(server_name) +
      Extension(10, "\0\6\0\x1d\0\x17\0\x18"sv) +  // groups: x25519, P-256, P-384
      Extension(11, "\1\0"sv) +                    // points: uncompressed
      Extension(13, "\0\x10\4\3\5\3\6\3\x08\4\x08\5\x08\6\4\1\5\1"sv) +  // signatures
      Extension(23, "") +                                                // extended master secret
      Extension(43, "\4\3\4\3\3"sv) +                                    // TLS 1.3 and 1.2
      Extension(45, "\1\1"sv) +  // key exchange with a share
      Extension(51, Counted16(share));
  std::string body = "\3\3";
  body += Random32();
  Append8(body, 32);
  body += Random32();  // the session id that middleboxes like to see
  body += Counted16("\x13\1\x13\2\x13\3\xc0\x2b\xc0\x2f\xc0\x2c\xc0\x30\0\x9c\0\x2f"sv);  // ciphers
  body += "\1\0"sv;  // no compression
  body += Counted16(extensions);
  std::string message(1, '\1');
  Append8(message, body.size() >> 16);
  message += Counted16(body);
  std::string record(1, static_cast<char>(kHandshake));
  record += "\3\1";
  return record + Counted16(message);
}

class TlsHelloAttempt final : public StreamAttempt {
 public:
  explicit TlsHelloAttempt(const std::string& hello) : hello_(hello) {}

  std::optional<Outcome> OnOpen(std::string& out) override {
    out += hello_;
    return std::nullopt;
  }

  std::optional<Outcome> OnData(Bytes data, std::string& /*out*/) override {
    received_.append(reinterpret_cast<const char*>(data.data()), data.size());
    if (received_.size() <= kRecordHeader + 1) return std::nullopt;
    const auto type = static_cast<uint8_t>(received_[0]);
    const auto first = static_cast<uint8_t>(received_[kRecordHeader]);
    if (type == kHandshake && received_[1] == 3 && first == kServerHello) return Outcome::Ok();
    if (type == kAlert && received_[1] == 3) {
      const auto alert = static_cast<uint8_t>(received_[kRecordHeader + 1]);
      return Outcome{Failure::kTls, fmt::format("the server answered by alert {}", alert), ""};
    }
    return Outcome{Failure::kProtocol, "the answer is not TLS", ""};
  }

  Outcome OnEnd() override {
    return {Failure::kEarlyClose, "connection closed without a ServerHello", ""};
  }
  std::string WaitingFor() const override { return "no ServerHello"; }

 private:
  const std::string& hello_;
  std::string received_;
};

}  // namespace

TlsHelloProber::TlsHelloProber(const model::TlsHelloCheck& check)
    : hello_(MakeHello(check.server_name)) {}

std::unique_ptr<StreamAttempt> TlsHelloProber::Start() const {
  return std::make_unique<TlsHelloAttempt>(hello_);
}

}  // namespace lb::health
