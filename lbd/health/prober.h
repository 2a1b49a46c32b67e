// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "lbd/base/status.h"
#include "lbd/health/frame.h"
#include "lbd/model/check.h"
#include "lbd/model/vip.h"

namespace lb::health {

// What kind of trouble a probe found, X(Name, name).
#define LB_FAILURES(X)         \
  X(Timeout, timeout)          \
  X(Refused, refused)          \
  X(Unreachable, unreachable)  \
  X(NoDecap, no_decap)         \
  X(WrongSource, wrong_source) \
  X(EarlyClose, early_close)   \
  X(Protocol, protocol)        \
  X(Status, status)            \
  X(Body, body)                \
  X(Tls, tls)

enum class Failure : uint8_t {
  kNone,
#define LB_FAILURE_ENUM(Name, name) k##Name,
  LB_FAILURES(LB_FAILURE_ENUM)
#undef LB_FAILURE_ENUM
      kCount,
};

std::string_view ToString(Failure failure);  // "timeout", "no_decap"; "ok" for none

// What a probe found.
struct Outcome {
  Failure failure = Failure::kNone;
  std::string reason;   // "got 503, want 200-299"; empty for a success
  std::string warning;  // of a success: what will soon be wrong

  static Outcome Ok() { return {}; }
  bool ok() const { return failure == Failure::kNone; }
  bool operator==(const Outcome&) const = default;
};

// One attempt over a TCP connection that it does not see. Each call may append to `out` what is to
// be sent, and ends the attempt by an outcome. It must end by itself on endless input.
class StreamAttempt {
 public:
  virtual ~StreamAttempt() = default;

  virtual std::optional<Outcome> OnOpen(std::string& out) = 0;
  virtual std::optional<Outcome> OnData(Bytes data, std::string& out) = 0;
  // The real has closed its end in order.
  virtual Outcome OnEnd() = 0;
  // For a timeout: "no answer to the request".
  virtual std::string WaitingFor() const = 0;
};

// How one check of a VIP is made over TCP, whatever the real. Thread-compatible.
class StreamProber {
 public:
  virtual ~StreamProber() = default;
  virtual std::unique_ptr<StreamAttempt> Start() const = 0;
  // Whether it takes so much CPU that only so many may start in a second.
  virtual bool is_expensive() const { return false; }
};

// How one check is made by one datagram and its answer. Thread-compatible.
class DatagramProber {
 public:
  virtual ~DatagramProber() = default;

  // Whether it goes as an ICMP echo request to the real itself, not by UDP through the tunnel.
  virtual bool is_echo() const { return false; }
  // What to send. The cookie is random: what answers must prove that it has seen it, if it can.
  virtual std::string Request(uint64_t cookie) const = 0;
  // Empty: that is no answer to this request.
  virtual std::optional<Outcome> Judge(Bytes reply, uint64_t cookie) const = 0;
};

using Prober = std::variant<std::unique_ptr<StreamProber>, std::unique_ptr<DatagramProber>>;

// Whether the files that a check names can be used.
Status CheckFiles(const model::CheckKind& kind);

// The prober of `kind` for a VIP at `port`. Requires a validated check.
Prober MakeProber(const model::CheckKind& kind, const model::VipKey& vip, uint16_t port);

}  // namespace lb::health
