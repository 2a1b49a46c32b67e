// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "lbd/base/status.h"
#include "lbd/dataplane/capture.h"
#include "lbd/dataplane/forwarder.h"
#include "tests/bench/cases.h"
#include "tests/bench/wrapper.h"

struct bench_ipip_bpf;
struct bench_xdp_tx_bpf;

namespace lb::bench {

// The programs that are compared, by their names in the results.
enum class Contender { kXdpTx, kIpip, kLbd, kSampled };
inline constexpr std::array kContenders{Contender::kXdpTx, Contender::kIpip, Contender::kLbd,
                                        Contender::kSampled};
std::string_view ToString(Contender contender);
// Whether it is lbd's program, which counts.
constexpr bool IsLbd(Contender contender) { return contender >= Contender::kLbd; }

// All contenders, loaded for one case.
class Contenders {
 public:
  // `hop`: the way to every real.
  static StatusOr<Contenders> Load(const Case& c, const dataplane::NextHop& hop);

  int fd(Contender contender) const;
  Effect expected(Contender contender) const;
  // Packets to which lbd gave the verdict of the case.
  uint64_t counted() const { return forwarder_->ReadVerdicts()[case_.verdict]; }
  // Packets that went where their server id says.
  uint64_t routed_by_id() const {
    return forwarder_->ReadNotes()[LB_NOTE_ID_ROUTED - LB_NOTE_FIRST];
  }
  // Flows that lbd's flow table knows.
  uint64_t Tracked() const;

 private:
  struct Destroy {
    void operator()(bench_xdp_tx_bpf* skeleton) const;
    void operator()(bench_ipip_bpf* skeleton) const;
  };

  explicit Contenders(const Case& c) : case_(c) {}

  Case case_;
  std::unique_ptr<bench_xdp_tx_bpf, Destroy> xdp_tx_;
  std::unique_ptr<bench_ipip_bpf, Destroy> ipip_;
  std::unique_ptr<dataplane::Forwarder> forwarder_;
  dataplane::TracingProgram sampled_;  // over the tables of the forwarder
};

}  // namespace lb::bench
