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

#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace lb::dataplane {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLinkPrefix = "link_";
constexpr std::string_view kMapPrefix = "lb_";
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

std::string PinDirectory::LinkPath(const std::string& interface) const {
  std::string name = interface;
  for (char& c : name) c = c == '.' ? kDot : c;
  return fmt::format("{}/{}{}", path_, kLinkPrefix, name);
}

std::vector<std::string> PinDirectory::PinnedInterfaces() const {
  std::vector<std::string> interfaces;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    std::string name = entry.path().filename();
    if (!name.starts_with(kLinkPrefix)) continue;
    name.erase(0, kLinkPrefix.size());
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

Status PinDirectory::RemoveMaps() {
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
