// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/probe_path.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "lb/abi.h"

namespace lb::dataplane {
namespace {

void Put(const std::optional<IpAddress>& address, __u32 (&out)[4]) {
  std::memset(out, 0, sizeof(out));
  if (address) std::memcpy(out, address->mapped().data(), sizeof(out));
}

}  // namespace

StatusOr<std::unique_ptr<ProbePath>> ProbePath::Create() {
  LB_ASSIGN_OR_RETURN(MappedArray table, MappedArray::Create("lb_probe", sizeof(lb_probe)));
  UniqueFd sockets(bpf_map_create(BPF_MAP_TYPE_XSKMAP, kSocketsName, sizeof(uint32_t),
                                  sizeof(uint32_t), LB_PROBE_SOCKETS, nullptr));
  if (!sockets.valid()) return ErrnoStatus(errno, "create the BPF map of AF_XDP sockets");
  return std::unique_ptr<ProbePath>(new ProbePath(std::move(table), std::move(sockets)));
}

void ProbePath::SetProgram(int fd) {
  MutexLock lock(mutex_);
  program_.reset(fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

void ProbePath::SetOrigin(const Origin& origin) {
  lb_probe& probe = table_.as<lb_probe>().front();
  // While the addresses change nothing matches.
  probe.first_port = 1;
  probe.last_port = 0;
  Put(origin.source_v4, probe.source_v4);
  Put(origin.source_v6, probe.source_v6);
  probe.last_port = origin.last_port;
  probe.first_port = origin.first_port;
}

StatusOr<uint32_t> ProbePath::AddInterface(int ifindex, uint32_t queues) {
  if (interfaces_ == LB_PROBE_INTERFACES) {
    return ResourceExhausted(fmt::format("probes use at most {} interfaces", LB_PROBE_INTERFACES));
  }
  if (queues > LB_PROBE_SOCKETS - used_) {
    return ResourceExhausted(
        fmt::format("more than {} queues in all interfaces together; make "
                    "fewer: ethtool -L",
                    LB_PROBE_SOCKETS));
  }
  lb_probe_interface& entry = table_.as<lb_probe>().front().interfaces[interfaces_++];
  entry.sockets = used_;
  entry.ifindex = ifindex;
  used_ += queues;
  return entry.sockets;
}

void ProbePath::Clear() {
  for (lb_probe_interface& entry : table_.as<lb_probe>().front().interfaces) entry.ifindex = 0;
  interfaces_ = used_ = 0;
}

Status ProbePath::SetSocket(uint32_t number, int fd) {
  if (bpf_map_update_elem(sockets_.get(), &number, &fd, BPF_ANY) != 0) {
    return ErrnoStatus(errno, "make an AF_XDP socket known to the XDP program");
  }
  return OkStatus();
}

Status ProbePath::Test(int ifindex, uint32_t queue, std::span<const uint8_t> frame) const {
  xdp_md context{};
  context.data_end = frame.size();
  context.ingress_ifindex = ifindex;
  context.rx_queue_index = queue;
  LIBBPF_OPTS(bpf_test_run_opts, run);
  run.data_in = frame.data();
  run.data_size_in = frame.size();
  run.ctx_in = &context;
  run.ctx_size_in = sizeof(context);
  run.repeat = 1;
  MutexLock lock(mutex_);
  if (!program_.valid()) return Unavailable("no program is in force");
  if (bpf_prog_test_run_opts(program_.get(), &run) != 0) {
    return Unavailable(fmt::format("a test run of the XDP program: {}", std::strerror(errno)));
  }
  if (run.retval != XDP_REDIRECT) {
    return FailedPrecondition(
        fmt::format("the XDP program does not hand answers to probes on queue {} over (action {})",
                    queue, run.retval));
  }
  return OkStatus();
}

}  // namespace lb::dataplane
