// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/pin_directory.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <utility>

#include "lbd/dataplane/bpf_info.h"

namespace lb::dataplane {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLinkPrefix = "link_";
constexpr std::string_view kChainPrefix = "chain_";
constexpr std::string_view kChainedPrefix = "chained_";
constexpr std::string_view kDispatchedPrefix = "dispatched_";
constexpr std::string_view kNextDispatchedPrefix = "next_dispatched_";
// One pin of each interface has one of these.
constexpr std::string_view kInterfacePrefixes[] = {kLinkPrefix, kChainPrefix, kDispatchedPrefix};
constexpr std::string_view kMapPrefix = "lb_";
constexpr std::string_view kProgramPrefix = "program_";
// bpffs refuses names with a dot, and interface names may have one (eth0.100).
constexpr char kDot = '%';

}  // namespace

StatusOr<PinDirectory> PinDirectory::Open(const std::string& path) {
  const std::string parent = fs::path(path).parent_path();
  struct statfs info {};
  const bool exists = fs::exists(path);
  if (statfs(exists ? path.c_str() : parent.c_str(), &info) != 0 || info.f_type != BPF_FS_MAGIC) {
    return FailedPrecondition(
        fmt::format("{} is not on a bpffs; mount one (mount -t bpf bpf {}) or name a directory on "
                    "one with --bpffs",
                    path, parent));
  }
  if (!exists && mkdir(path.c_str(), 0700) != 0) return ErrnoStatus(errno, "create " + path);
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "open " + path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "lock " + path);
    return FailedPrecondition(fmt::format(
        "another lbd is running with --bpffs {}; stop it first, or name another directory", path));
  }
  return PinDirectory(path, std::move(fd));
}

std::string PinDirectory::PathOf(std::string_view prefix, const std::string& interface) const {
  std::string name = interface;
  for (char& c : name) c = c == '.' ? kDot : c;
  return fmt::format("{}/{}{}", path_, prefix, name);
}

std::string PinDirectory::LinkPath(const std::string& interface) const {
  return PathOf(kLinkPrefix, interface);
}

std::string PinDirectory::ChainPath(const std::string& interface) const {
  return PathOf(kChainPrefix, interface);
}

std::string PinDirectory::ChainedProgramPath(const std::string& interface) const {
  return PathOf(kChainedPrefix, interface);
}

std::string PinDirectory::DispatchedProgramPath(const std::string& interface) const {
  return PathOf(kDispatchedPrefix, interface);
}

std::string PinDirectory::NextDispatchedProgramPath(const std::string& interface) const {
  return PathOf(kNextDispatchedPrefix, interface);
}

std::vector<std::string> PinDirectory::PinnedInterfaces() const {
  std::vector<std::string> interfaces;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    std::string name = entry.path().filename();
    const auto* prefix = std::ranges::find_if(
        kInterfacePrefixes, [&](std::string_view known) { return name.starts_with(known); });
    if (prefix == std::end(kInterfacePrefixes)) continue;
    name.erase(0, prefix->size());
    for (char& c : name) c = c == kDot ? '.' : c;
    interfaces.push_back(std::move(name));
  }
  return interfaces;
}

Status PinDirectory::PinMaps(std::span<const MappedArray* const> maps) {
  for (const MappedArray* map : maps) {
    const std::string final_path = fmt::format("{}/{}", path_, map->name());
    const std::string new_path = final_path + "_new";
    unlink(new_path.c_str());
    if (bpf_obj_pin(map->fd(), new_path.c_str()) != 0) return ErrnoStatus(errno, "pin " + new_path);
    if (rename(new_path.c_str(), final_path.c_str()) != 0) {
      return ErrnoStatus(errno, "rename " + new_path);
    }
  }
  return OkStatus();
}

std::string PinDirectory::ProgramPath(uint32_t id) const {
  return fmt::format("{}/{}{}", path_, kProgramPrefix, id);
}

Status PinDirectory::PinProgram(const Program& program) {
  const std::string directory = ProgramPath(program.id());
  std::error_code error;
  fs::remove_all(directory, error);  // of an earlier boot, or of a process that died here
  if (mkdir(directory.c_str(), 0700) != 0) return ErrnoStatus(errno, "create " + directory);
  const auto pin = [&](int fd, const std::string& name) {
    const std::string path = fmt::format("{}/{}", directory, name);
    return bpf_obj_pin(fd, path.c_str()) == 0 ? OkStatus() : ErrnoStatus(errno, "pin " + path);
  };
  LB_RETURN_IF_ERROR(pin(program.fd(), "program"));
  for (const int fd : program.map_fds()) {
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0) return ErrnoStatus(errno, "ask for a map");
    LB_RETURN_IF_ERROR(pin(fd, fmt::format("map_{}", info.id)));
  }
  return OkStatus();
}

void PinDirectory::KeepProgram(uint32_t id) {
  std::error_code error;
  std::vector<fs::path> doomed;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(kProgramPrefix) && entry.path() != ProgramPath(id)) {
      doomed.push_back(entry.path());
    }
  }
  for (const fs::path& path : doomed) fs::remove_all(path, error);
}

UniqueFd PinDirectory::OpenProgram(uint32_t id) const {
  UniqueFd fd(bpf_obj_get((ProgramPath(id) + "/program").c_str()));
  // Numbers begin anew with each boot, pins do not outlive one; but who knows.
  const bool right = fd.valid() && ProgramInfo(fd.get()).id == id;
  return right ? std::move(fd) : UniqueFd(bpf_prog_get_fd_by_id(id));
}

UniqueFd PinDirectory::OpenMap(uint32_t program_id, uint32_t id) const {
  UniqueFd fd(bpf_obj_get(fmt::format("{}/map_{}", ProgramPath(program_id), id).c_str()));
  return fd.valid() ? std::move(fd) : UniqueFd(bpf_map_get_fd_by_id(id));
}

Status PinDirectory::RemoveMaps() {
  KeepProgram(0);  // which none has
  std::error_code error;
  std::vector<fs::path> doomed;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    if (entry.path().filename().string().starts_with(kMapPrefix)) doomed.push_back(entry.path());
  }
  for (const fs::path& path : doomed) {
    if (unlink(path.c_str()) != 0) return ErrnoStatus(errno, "remove " + path.string());
  }
  rmdir(path_.c_str());  // fails while a link of an interface is left, as it should
  return OkStatus();
}

}  // namespace lb::dataplane
