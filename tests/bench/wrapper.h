// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "lbd/base/status.h"
#include "tests/bench/bpf/bench_abi.h"
#include "tests/bench/cases.h"

struct bench_wrapper_bpf;

namespace lb::bench {

// What a program makes of every packet.
struct Effect {
  uint32_t action = 0;  // XDP_*
  uint32_t length = 0;  // of the frame

  bool operator==(const Effect&) const = default;
};

// Runs a program on the traffic of a case: makes the next packet, then calls the program.
class Wrapper {
 public:
  static constexpr uint32_t kBurst = 100'000;  // packets of one system call

  static StatusOr<Wrapper> Load(const Case& c);

  // The CPU time of `packets` packets, all of which must have this effect.
  StatusOr<double> Run(int program_fd, const Effect& expected, uint32_t packets);
  // Every flow once, in sequence.
  Status RunEveryFlow(const std::function<Status(uint32_t packets)>& run);

 private:
  struct Destroy {
    void operator()(bench_wrapper_bpf* skeleton) const;
  };

  bench_state& state();

  uint32_t flows_ = 0;
  testing::Bytes frame_;
  std::unique_ptr<bench_wrapper_bpf, Destroy> skeleton_;
};

}  // namespace lb::bench
