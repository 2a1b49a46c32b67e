// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/wrapper.h"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "bench_wrapper.skel.h"

namespace lb::bench {
namespace {

constexpr uint32_t kWarmUp = 200'000;  // packets at least

double ThreadCpuNs() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

}  // namespace

void Wrapper::Destroy::operator()(bench_wrapper_bpf* skeleton) const {
  bench_wrapper_bpf::destroy(skeleton);
}

bench_state& Wrapper::state() { return skeleton_->bss->bench_state; }

StatusOr<Wrapper> Wrapper::Load(const Case& c) {
  Wrapper self;
  self.flows_ = c.flows;
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

StatusOr<double> Wrapper::Run(int program_fd, const Effect& expected, uint32_t packets) {
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
    return Internal(fmt::format("action {} and {} bytes, not action {} and {} bytes", effect.action,
                                effect.length, expected.action, expected.length));
  }
  return ns;
}

Status Wrapper::RunEveryFlow(const std::function<Status(uint32_t packets)>& run) {
  state().in_sequence = 1;
  const uint32_t packets = std::max(flows_, kWarmUp);
  for (uint32_t sent = 0; sent < packets; sent += kBurst) LB_RETURN_IF_ERROR(run(kBurst));
  state().in_sequence = 0;
  return OkStatus();
}

}  // namespace lb::bench
