// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/test_run.h"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <memory>

#include "bench_wrapper.skel.h"
#include "tests/bench/contenders.h"

namespace lb::bench {
namespace {

constexpr uint32_t kBurst = 100'000;  // packets of one system call
constexpr int kBurstsPerRun = 5;
constexpr uint32_t kWarmUp = 200'000;  // packets at least
// The interface that test runs arrive on: loopback.
constexpr int kIngressInterface = 1;

double ThreadCpuNs() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// The wrapper, and in front of what it runs.
class Wrapper {
 public:
  static StatusOr<Wrapper> Load(const Case& c) {
    Wrapper self;
    self.frame_ = FrameOf(c);
    self.skeleton_.reset(bench_wrapper_bpf::open());
    if (self.skeleton_ == nullptr) return ErrnoStatus(errno, "open bench_wrapper");
    self.skeleton_->rodata->bench_traffic = TrafficOf(c);
    if (bench_wrapper_bpf::load(self.skeleton_.get()) != 0) {
      return ErrnoStatus(errno, "load bench_wrapper");
    }
    self.state().random = 0x9e3779b97f4a7c15;
    return self;
  }

  bench_state& state() { return skeleton_->bss->bench_state; }

  // The CPU time of `packets` packets, all of which must have this effect.
  StatusOr<double> Run(int program_fd, const Effect& expected, uint32_t packets) {
    const uint32_t slot = 0;
    const int slots = bpf_map__fd(skeleton_->maps.bench_measured);
    if (bpf_map_update_elem(slots, &slot, &program_fd, BPF_ANY) != 0) {
      return ErrnoStatus(errno, "put a program behind the wrapper");
    }
    std::array<uint8_t, 256> out;
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame_.data(), .data_out = out.data(),
                .data_size_in = static_cast<uint32_t>(frame_.size()),
                .data_size_out = static_cast<uint32_t>(out.size()),
                .repeat = static_cast<int>(packets));
    const double start = ThreadCpuNs();
    const int error = bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.bench_wrapper), &run);
    const double ns = ThreadCpuNs() - start;
    if (error != 0) return ErrnoStatus(-error, "BPF_PROG_TEST_RUN");
    if (const Effect effect{run.retval, run.data_size_out}; effect != expected) {
      return Internal(fmt::format("action {} and {} bytes, not action {} and {} bytes",
                                  effect.action, effect.length, expected.action, expected.length));
    }
    return ns;
  }

 private:
  struct Destroy {
    void operator()(bench_wrapper_bpf* skeleton) const { bench_wrapper_bpf::destroy(skeleton); }
  };

  testing::Bytes frame_;
  std::unique_ptr<bench_wrapper_bpf, Destroy> skeleton_;
};

StatusOr<double> RunContender(Wrapper& wrapper, const Contenders& contenders, Contender contender,
                              uint32_t packets) {
  const uint64_t before = contenders.counted();
  auto ns = wrapper.Run(contenders.fd(contender), contenders.expected(contender), packets);
  if (!ns.ok()) return Annotate(ns.status(), ToString(contender));
  const uint64_t counted = contenders.counted() - before;
  if (const uint64_t sent = contender == Contender::kLbd ? packets : 0; counted != sent) {
    return Internal(fmt::format("lbd counted {} packets of {}", counted, sent));
  }
  return *ns / packets;
}

// The effect of one packet, and of the next one, which the first must not have spoilt.
Status CheckEffects(Wrapper& wrapper, const Contenders& contenders) {
  for (const Contender contender : kContenders) {
    for (const uint32_t packets : {1, 2}) {
      LB_RETURN_IF_ERROR(RunContender(wrapper, contenders, contender, packets).status());
    }
  }
  return OkStatus();
}

// Every flow once, in sequence.
Status WarmUp(Wrapper& wrapper, const Contenders& contenders, const Case& c) {
  wrapper.state().in_sequence = 1;
  const uint32_t packets = std::max(c.flows, kWarmUp);
  for (uint32_t sent = 0; sent < packets; sent += kBurst) {
    LB_RETURN_IF_ERROR(RunContender(wrapper, contenders, Contender::kLbd, kBurst).status());
  }
  wrapper.state().in_sequence = 0;
  return OkStatus();
}

}  // namespace

StatusOr<std::vector<Result>> MeasureByTestRun(const Case& c, int runs) {
  const dataplane::NextHop hop{.destination = testing::kGatewayMac,
                               .source = testing::kBalancerMac,
                               .ifindex = kIngressInterface,
                               .mtu = 1500};
  LB_ASSIGN_OR_RETURN(const Contenders contenders, Contenders::Load(c, hop));
  LB_ASSIGN_OR_RETURN(Wrapper wrapper, Wrapper::Load(c));
  LB_RETURN_IF_ERROR(CheckEffects(wrapper, contenders));
  LB_RETURN_IF_ERROR(WarmUp(wrapper, contenders, c));

  std::array<std::vector<double>, kContenders.size()> ns;
  for (int run = 0; run < runs; ++run) {
    std::array<std::vector<double>, kContenders.size()> bursts;
    for (int burst = 0; burst < kBurstsPerRun; ++burst) {
      for (size_t i = 0; i < kContenders.size(); ++i) {
        LB_ASSIGN_OR_RETURN(const double value,
                            RunContender(wrapper, contenders, kContenders[i], kBurst));
        bursts[i].push_back(value);
      }
    }
    for (size_t i = 0; i < kContenders.size(); ++i) ns[i].push_back(Median(bursts[i]));
  }
  std::vector<Result> results;
  for (size_t i = 0; i < kContenders.size(); ++i) {
    results.push_back(Summarize(c.name, ToString(kContenders[i]), ns[i]));
  }
  return results;
}

}  // namespace lb::bench
