// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lb/abi.h"
#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/dataplane.h"
#include "lbd/dataplane/mapped_array.h"
#include "lbd/dataplane/prefix_map.h"
#include "lbd/dataplane/probe_path.h"

struct bpf_object;

namespace lb::dataplane {

// What a program made of a frame.
struct ProgramRun {
  uint32_t action = 0;  // XDP_*
  std::vector<uint8_t> out;
};

struct CloseBpfObject {
  void operator()(bpf_object* object) const;
};
using BpfObject = std::unique_ptr<bpf_object, CloseBpfObject>;

// The balancer's XDP program, loaded into the kernel but attached to nothing. Thread-compatible.
class Program {
 public:
  enum class Build : uint8_t {
    kForward,  // what forwards
    kTrace,    // the same, and notes what it decides: bpf/trace.h
  };

  // Loads the program over these maps (matched by name) with `config` as its constants. With a
  // priority it is an extension, which runs under a dispatcher of libxdp and nowhere else. Without
  // `probes` answers to health probes go nowhere. It goes on with the lb_fragments of another
  // program; -1: with none.
  static StatusOr<Program> Load(const lb_config& config, std::span<const MappedArray* const> tables,
                                std::span<const PrefixMap* const> prefix_maps,
                                std::optional<uint32_t> priority = std::nullopt,
                                Build build = Build::kForward, const ProbePath* probes = nullptr,
                                int fragments_fd = -1);

  // Runs it over a frame that comes in by `ifindex`, or by loopback where that has no XDP queue.
  // Nothing is sent. The kernel wants 14 bytes at least.
  StatusOr<ProgramRun> TestRun(std::span<const uint8_t> frame, uint32_t ifindex) const;

  // Lets frames that came in by another interface leave by this one. At most 64; an interface that
  // goes away is taken out by the kernel.
  Status AddPort(int ifindex) const;

  int fd() const { return fd_; }
  // Of a map that is not a table; -1: there is no such map.
  int map_fd(const char* name) const;
  uint32_t id() const { return id_; }
  // Of every map that it uses, the constants included.
  std::vector<int> map_fds() const;
  ProgramStats ReadStats() const;

 private:
  BpfObject object_;
  int fd_ = -1;  // owned by object_
  uint32_t id_ = 0;
};

// Makes the kernel measure every BPF program of this machine while the result lives.
StatusOr<UniqueFd> MeasureRunTimes();

// PERMISSION_DENIED without CAP_SYS_ADMIN: what becomes an extension, and libxdp, open programs by
// their ids.
Status CheckMayOpenByIds();

}  // namespace lb::dataplane
