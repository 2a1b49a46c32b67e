// SPDX-License-Identifier: Apache-2.0
#include "lbd/agent/server_id_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <numeric>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "lb/server_id_abi.h"
#include "lbd/base/unique_fd.h"

#include "real_server_id.skel.h"

namespace lb::agent {
namespace {

constexpr std::array kCounts = {
#define LB_COUNT(NAME, name, text) std::pair<std::string_view, std::string_view>{#name, text},
    LB_SERVER_ID_COUNTS(LB_COUNT)
#undef LB_COUNT
};

std::string PinPath(const std::string& pin_path) { return pin_path + "/server_id"; }

// Where the cgroup hierarchy of version 2 is mounted.
StatusOr<std::string> RootCgroup() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::string device, path, type;
    std::istringstream(line) >> device >> path >> type;
    if (type == "cgroup2") return path;
  }
  return FailedPrecondition(
      "no cgroup2 is mounted; mount one (mount -t cgroup2 none /sys/fs/cgroup), or name one with "
      "--cgroup");
}

StatusOr<UniqueFd> OpenCgroup(const std::string& name) {
  std::string path = name;
  if (path.empty()) {
    LB_ASSIGN_OR_RETURN(path, RootCgroup());
  }
  UniqueFd cgroup(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup.valid()) return ErrnoStatus(errno, fmt::format("--cgroup: open {}", path));
  return cgroup;
}

// The link that is pinned, where it is one to this cgroup.
std::optional<UniqueFd> PinnedLink(const std::string& pin, int cgroup_fd) {
  UniqueFd link(bpf_obj_get(pin.c_str()));
  bpf_link_info info{};
  uint32_t length = sizeof(info);
  if (!link.valid() || bpf_obj_get_info_by_fd(link.get(), &info, &length) != 0) return std::nullopt;
  struct stat cgroup {};
  if (fstat(cgroup_fd, &cgroup) != 0 || info.cgroup.cgroup_id != cgroup.st_ino) return std::nullopt;
  return link;
}

}  // namespace

void ServerIdProgram::Close::operator()(real_server_id_bpf* skeleton) const {
  real_server_id_bpf::destroy(skeleton);
}

StatusOr<ServerIdProgram> ServerIdProgram::Start(const std::string& pin_path,
                                                 const ServerIdOptions& options) {
  LB_ASSIGN_OR_RETURN(const UniqueFd cgroup, OpenCgroup(options.cgroup));
  Skeleton skeleton(real_server_id_bpf::open());
  if (skeleton == nullptr) return ErrnoStatus(errno, "open the server-id program");
  skeleton->rodata->config = {.server_id = options.server_id, .echo = options.echo};
  const std::string addresses = pin_path + "/lb_decap_ip";
  if (const int error = bpf_map__set_pin_path(skeleton->maps.lb_decap_ip, addresses.c_str());
      error != 0) {
    return ErrnoStatus(-error, "pin " + addresses);
  }
  if (const int error = real_server_id_bpf::load(skeleton.get()); error != 0) {
    return ErrnoStatus(-error, "load the server-id program");
  }
  const int program = bpf_program__fd(skeleton->progs.real_server_id);
  const std::string pin = PinPath(pin_path);
  if (const auto link = PinnedLink(pin, cgroup.get())) {
    if (bpf_link_update(link->get(), program, nullptr) == 0) {
      return ServerIdProgram(std::move(skeleton));
    }
  }
  unlink(pin.c_str());
  const UniqueFd link(bpf_link_create(program, cgroup.get(), BPF_CGROUP_SOCK_OPS, nullptr));
  if (!link.valid()) return ErrnoStatus(errno, "attach the server-id program to the cgroup");
  if (bpf_obj_pin(link.get(), pin.c_str()) != 0) return ErrnoStatus(errno, "pin " + pin);
  return ServerIdProgram(std::move(skeleton));
}

Status ServerIdProgram::Remove(const std::string& pin_path) {
  const std::string pin = PinPath(pin_path);
  const UniqueFd link(bpf_obj_get(pin.c_str()));
  if (!link.valid()) return errno == ENOENT ? OkStatus() : ErrnoStatus(errno, "open " + pin);
  if (bpf_link_detach(link.get()) != 0) return ErrnoStatus(errno, "detach the server-id program");
  return unlink(pin.c_str()) == 0 ? OkStatus() : ErrnoStatus(errno, "remove " + pin);
}

StatusOr<std::vector<OutcomeCount>> ServerIdProgram::ReadCounts() const {
  std::vector<uint64_t> per_cpu(libbpf_num_possible_cpus());
  std::vector<OutcomeCount> counts;
  for (uint32_t i = 0; i < kCounts.size(); ++i) {
    if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.lb_server_id_count), &i, per_cpu.data()) !=
        0) {
      return ErrnoStatus(errno, "read the counters of server ids");
    }
    counts.push_back({kCounts[i].first, kCounts[i].second,
                      std::accumulate(per_cpu.begin(), per_cpu.end(), uint64_t{0})});
  }
  return counts;
}

}  // namespace lb::agent
