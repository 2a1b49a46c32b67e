// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/health/latency.h"
#include "lbd/health/prober.h"
#include "lbd/health/state_machine.h"
#include "lbd/health/time.h"
#include "lbd/model/vip.h"

namespace lb::health {

// A real of a VIP became up or down.
struct Transition {
  model::VipKey vip;
  IpAddress real;
  bool up = false;
  std::string reason;  // "http: got 503, want 200-299"; "http: ok"
  Time at;

  bool operator==(const Transition&) const = default;
};

// How much a report says; each says also what those above it do.
enum class Detail : uint8_t {
  kTotals,   // counters and sockets
  kBlind,    // of each check that is blind, why
  kStates,   // of each check its state
  kChecks,   // and what its probes found
  kHistory,  // and what became of the real
};

// What a report is about.
struct Scope {
  Detail detail = Detail::kChecks;
  std::optional<model::VipKey> vip = {};  // the checks of this one; empty: of all
};

// One check of one real, as it stands.
struct CheckReport {
  model::VipKey vip;
  IpAddress real;
  std::string_view check;  // "http"
  uint16_t port = 0;       // that is probed; 0: the check has none
  State state = State::kUnknown;
  std::string blind;  // why nothing can be said at the moment; empty: probing works
  std::optional<uint32_t> latency_micros;  // of the last successful probe
  // From Detail::kChecks on:
  Time since;             // of the state
  uint32_t in_a_row = 0;  // successes, or failures where the last probe failed
  std::optional<Time> last_at;
  Outcome last;
  uint32_t p50_micros = 0;
  uint32_t p99_micros = 0;
  Time next_at;
  std::vector<Transition> history;  // the oldest first; only Detail::kHistory
};

// What became of probes and frames since the start.
struct Counters {
  uint64_t started = 0;
  uint64_t succeeded = 0;
  std::array<uint64_t, static_cast<size_t>(Failure::kCount)> failed{};  // by Failure
  uint64_t frozen = 0;       // time-outs that are no verdict, because the trouble was ours
  uint64_t delayed = 0;      // starts and segments for which there was no room at once
  uint64_t transitions = 0;  // of reals
  uint64_t malformed = 0;    // frames that are no answer to anything, or with a wrong checksum
  uint64_t rejected = 0;     // forged or stale: not of the probe whose port they name
  uint64_t late = 0;         // for a probe that is over
  uint64_t resets = 0;       // that we sent in answer to the two above
};

// The sockets of one interface.
struct SocketReport {
  std::string interface;
  std::string problem;  // why there are none; empty: all is well
  uint32_t queues = 0;
  bool zero_copy = false;
  bool tested = false;           // the XDP program hands every queue over
  uint64_t rx_dropped = 0;       // by the kernel, for whatever reason
  uint64_t rx_ring_full = 0;     //
  uint64_t fill_ring_empty = 0;  //
  uint64_t tx_invalid = 0;       //
};

struct Report {
  std::vector<CheckReport> checks;
  Counters counters;
  std::vector<SocketReport> sockets;
  LatencyHistogram latency;
  size_t in_flight = 0;
  std::optional<IpAddress> source_v4;  // where probes come from; empty: there is no address
  std::optional<IpAddress> source_v6;
  Time now;
};

}  // namespace lb::health
