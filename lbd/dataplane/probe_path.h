// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "lbd/base/ip_address.h"
#include "lbd/base/mutex.h"
#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/mapped_array.h"

namespace lb::dataplane {

// How answers to health probes get from the XDP program to the prober's AF_XDP sockets: two maps
// that all programs share, so that sockets live on when a program is replaced. The control thread
// makes it and sets the program; the rest belongs to the prober's thread.
class ProbePath {
 public:
  static constexpr const char* kSocketsName = "lb_probe_sockets";

  static StatusOr<std::unique_ptr<ProbePath>> Create();

  const MappedArray& table() const { return table_; }
  int sockets_fd() const { return sockets_.get(); }

  // The program in force, for Test(); -1: none that hands answers over.
  void SetProgram(int fd);

  // What probes look like: where they come from, and their range of source ports.
  struct Origin {
    std::optional<IpAddress> source_v4;
    std::optional<IpAddress> source_v6;
    uint16_t first_port = 0;
    uint16_t last_port = 0;

    bool operator==(const Origin&) const = default;
  };
  void SetOrigin(const Origin& origin);

  // Makes room for the sockets of an interface. Returns the number of the first; the others follow.
  // RESOURCE_EXHAUSTED where there are too many.
  StatusOr<uint32_t> AddInterface(int ifindex, uint32_t queues);
  // Forgets all interfaces. Entries of sockets go when these are closed.
  void Clear();
  Status SetSocket(uint32_t number, int fd);

  // Whether the program in force hands `frame`, were it to arrive on this queue, to a socket.
  // FAILED_PRECONDITION where it does not; UNAVAILABLE where that cannot be tried.
  Status Test(int ifindex, uint32_t queue, std::span<const uint8_t> frame) const;

 private:
  ProbePath(MappedArray table, UniqueFd sockets)
      : table_(std::move(table)), sockets_(std::move(sockets)) {}

  MappedArray table_;
  UniqueFd sockets_;
  uint32_t interfaces_ = 0;
  uint32_t used_ = 0;  // of the sockets' numbers
  mutable Mutex mutex_;
  UniqueFd program_ LB_GUARDED_BY(mutex_);
};

}  // namespace lb::dataplane
