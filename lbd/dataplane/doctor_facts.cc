// SPDX-License-Identifier: Apache-2.0
// Where the facts come from.
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "lbd/dataplane/doctor.h"
#include "lbd/dataplane/interrupts.h"

namespace lb::dataplane {
namespace {

template <typename T>
T ReadFrom(const std::string& path, T otherwise) {
  std::ifstream file(path);
  T value{};
  return file >> value ? value : otherwise;
}

bool IsCapable() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("CapEff:")) continue;
    const uint64_t effective = std::stoull(line.substr(7), nullptr, 16);
    const auto has = [&](int bit) { return (effective >> bit & 1) != 0; };
    return has(CAP_SYS_ADMIN) || (has(CAP_NET_ADMIN) && has(CAP_BPF) && has(CAP_PERFMON));
  }
  return true;
}

// The value in force is the larger of "all" and the interface's own.
int ReadRpFilter(const std::string& interface) {
  const std::string root = "/proc/sys/net/ipv4/conf/";
  return std::max(ReadFrom(root + "all/rp_filter", 0),
                  ReadFrom(root + interface + "/rp_filter", 0));
}

int CountNumaNodes() {
  int nodes = 0;
  while (std::filesystem::exists("/sys/devices/system/node/node" + std::to_string(nodes))) ++nodes;
  return nodes;
}

}  // namespace

HostFacts ReadHostFacts(const std::string& pin_path) {
  HostFacts host{.pin_path = pin_path};
  utsname name{};
  uname(&name);
  host.kernel = name.release;
  host.bpf_jit = ReadFrom("/proc/sys/net/core/bpf_jit_enable", -1);
  host.capable = IsCapable();
  struct statfs pins {};
  // lbd makes the directory itself.
  const std::filesystem::path path(pin_path);
  const std::filesystem::path place = std::filesystem::exists(path) ? path : path.parent_path();
  host.bpffs = statfs(place.c_str(), &pins) == 0 && pins.f_type == BPF_FS_MAGIC;
  host.cpus = static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_ONLN));
  timex time{};
  host.clock_synchronised = adjtimex(&time) >= 0 && (time.status & STA_UNSYNC) == 0;
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    host.memlock_bytes = limit.rlim_cur;
  }
  return host;
}

uint64_t FreeBytes(const std::string& directory) {
  struct statvfs disk {};
  if (statvfs(directory.c_str(), &disk) != 0) return UINT64_MAX;
  return uint64_t{disk.f_bavail} * disk.f_frsize;
}

InterfaceFacts ReadInterfaceFacts(const InterfaceInfo& info,
                                  std::span<const Attachment> attachments) {
  const auto own = std::ranges::find(attachments, info.name, &Attachment::interface);
  const std::string device = "/sys/class/net/" + info.name + "/device/";
  InterfaceFacts facts{.info = info,
                       .nic = ReadNic(info.name),
                       .own_program = own == attachments.end() ? 0 : own->program_id,
                       .irq_cpus = InterruptCpus(info.name),
                       .local_cpus = LocalCpus(info.name),
                       .rp_filter = ReadRpFilter(info.name),
                       .numa_node = ReadFrom(device + "numa_node", -1),
                       .numa_nodes = CountNumaNodes()};
  if (facts.nic.driver != "veth" || info.link == 0) return facts;
  if (const auto peer = GetInterface(info.link); peer.ok()) {
    facts.peer_name = peer->name;
    facts.peer = ReadNic(peer->name);
  }
  return facts;
}

}  // namespace lb::dataplane
