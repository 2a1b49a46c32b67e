// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/mapped_array.h"

namespace lb::dataplane {

// The directory on a bpffs that keeps links and maps alive while no lbd runs. One process at a time
// holds it. Move-only; thread-compatible.
class PinDirectory {
 public:
  // Creates `path` where it is missing. FAILED_PRECONDITION where that is not on a bpffs, or
  // another process holds it.
  static StatusOr<PinDirectory> Open(const std::string& path);

  const std::string& path() const { return path_; }
  std::string LinkPath(const std::string& interface) const;
  // Interfaces with a pinned link.
  std::vector<std::string> PinnedInterfaces() const;
  // Pins `maps` under their names in place of what was there.
  Status PinMaps(std::span<const MappedArray* const> maps);
  // Removes every pin of a map, and the directory when it is empty then.
  Status RemoveMaps();

 private:
  PinDirectory(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  UniqueFd fd_;  // holds the lock
};

}  // namespace lb::dataplane
