// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lbd/agent/decapsulator.h"
#include "lbd/base/status.h"

struct real_server_id_bpf;

namespace lb::agent {

struct ServerIdOptions {
  uint32_t server_id = 0;  // to tell the clients of this host's VIPs; 0: none
  bool echo = false;       // whether this host's connections repeat the ids of their servers
  std::string cgroup;      // whose processes these are; empty: all

  bool any() const { return server_id != 0 || echo; }
};

// The program that writes server ids into TCP headers. Its link is pinned: it goes on when this is
// destroyed, and the next one takes it over without a gap. Thread-compatible.
class ServerIdProgram {
 public:
  // Loads the program, which shares the pinned addresses of the decapsulation program, and attaches
  // it in place of what is pinned in `pin_path`.
  static StatusOr<ServerIdProgram> Start(const std::string& pin_path,
                                         const ServerIdOptions& options);
  // Removes what this or an earlier one has attached and pinned in `pin_path`.
  static Status Remove(const std::string& pin_path);

  // Since the program was loaded.
  StatusOr<std::vector<OutcomeCount>> ReadCounts() const;

 private:
  struct Close {
    void operator()(real_server_id_bpf* skeleton) const;
  };
  using Skeleton = std::unique_ptr<real_server_id_bpf, Close>;

  explicit ServerIdProgram(Skeleton skeleton) : skeleton_(std::move(skeleton)) {}

  Skeleton skeleton_;
};

}  // namespace lb::agent
