// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/mapped_array.h"
#include "lbd/dataplane/program.h"

namespace lb::dataplane {

// The directory on a bpffs that keeps links and maps alive while no lbd runs. One process at a time
// holds it. Move-only; thread-compatible.
class PinDirectory {
 public:
  // Creates `path` where it is missing. FAILED_PRECONDITION where that is not on a bpffs, or
  // another process holds it.
  static StatusOr<PinDirectory> Open(const std::string& path);

  // For looking only: creates nothing, and does not mind who holds it.
  static PinDirectory Look(const std::string& path) { return {path, UniqueFd()}; }

  const std::string& path() const { return path_; }
  std::string LinkPath(const std::string& interface) const;
  // The program array that calls us for an interface, and our program in it.
  std::string ChainPath(const std::string& interface) const;
  std::string ChainedProgramPath(const std::string& interface) const;
  // Our program among those of an interface's dispatcher, and the one that comes in its place.
  std::string DispatchedProgramPath(const std::string& interface) const;
  std::string NextDispatchedProgramPath(const std::string& interface) const;
  // Interfaces with a pinned link, program array, or program of a dispatcher.
  std::vector<std::string> PinnedInterfaces() const;
  // Pins `maps` under their names in place of what was there.
  Status PinMaps(std::span<const MappedArray* const> maps);
  // Pins a program and its maps for OpenProgram() and OpenMap().
  Status PinProgram(const Program& program);
  // Removes what PinProgram() did for all others.
  void KeepProgram(uint32_t id);
  // What an lbd has pinned, by its id, or anything at all where we may open that (CAP_SYS_ADMIN).
  UniqueFd OpenProgram(uint32_t id) const;
  UniqueFd OpenMap(uint32_t program_id, uint32_t id) const;
  // Removes every pin of a map or program, and the directory when it is empty then.
  Status RemoveMaps();

 private:
  std::string ProgramPath(uint32_t id) const;

  PinDirectory(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string PathOf(std::string_view prefix, const std::string& interface) const;

  std::string path_;
  UniqueFd fd_;  // holds the lock
};

}  // namespace lb::dataplane
