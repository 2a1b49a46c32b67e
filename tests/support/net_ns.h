// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"

namespace lb::testing {

// A network namespace without a name, with lo up. It is gone when this and whatever runs in it are.
// Needs CAP_SYS_ADMIN. Move-only.
class NetNs {
 public:
  // While it lives, the thread that made it is in the namespace; then back where it was.
  class Inside {
   public:
    explicit Inside(const NetNs& ns);
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside();

   private:
    UniqueFd before_;
  };

  static StatusOr<NetNs> Create();

  // Runs a shell command in the namespace; the error has its output.
  Status Run(const std::string& command) const;
  // What the command writes, errors included.
  StatusOr<std::string> Output(const std::string& command) const;
  // For ip(8): "ip link set X netns PATH".
  std::string path() const;

 private:
  explicit NetNs(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace lb::testing
