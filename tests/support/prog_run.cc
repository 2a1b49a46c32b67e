// SPDX-License-Identifier: Apache-2.0
#include "tests/support/prog_run.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>

namespace lb::testing {

StatusOr<ProgRun> RunProgram(const dataplane::Forwarder& forwarder, const Bytes& frame,
                             const ProgRunOptions& options) {
  Bytes in(options.metadata, 0);
  in.insert(in.end(), frame.begin(), frame.end());
  Bytes out(std::max<size_t>(4096, in.size() + 256));
  xdp_md context{};
  context.data = options.metadata;
  context.data_end = in.size();
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = in.data(), .data_out = out.data(),
              .data_size_in = static_cast<uint32_t>(in.size()),
              .data_size_out = static_cast<uint32_t>(out.size()), .repeat = 1);
  if (options.metadata > 0) {
    run.ctx_in = &context;
    run.ctx_size_in = sizeof(context);
  }
  if (const int error = bpf_prog_test_run_opts(forwarder.program().fd(), &run); error != 0) {
    return ErrnoStatus(-error, "BPF_PROG_TEST_RUN");
  }
  out.resize(run.data_size_out);
  out.erase(out.begin(), out.begin() + options.metadata);
  return ProgRun{run.retval, std::move(out)};
}

}  // namespace lb::testing
