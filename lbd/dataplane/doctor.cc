// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/doctor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

namespace lb::dataplane {
namespace {

constexpr KernelVersion kOldest{5, 15};
constexpr KernelVersion kManagedNeighbours{5, 16};
constexpr KernelVersion kExplains{5, 18};        // bpf_xdp_load_bytes()
constexpr KernelVersion kMemoryByCgroup{5, 11};  // before, BPF maps were locked memory
constexpr uint32_t kClientMtu = 1500;
constexpr uint64_t kLittleDisk = 64 << 20;
constexpr uint32_t kSmallRing = 512;

class Findings {
 public:
  explicit Findings(std::string prefix = "") : prefix_(std::move(prefix)) {}

  void Ok(const std::string& check, std::string message) {
    Add(check, Level::kOk, std::move(message), "");
  }
  void Warn(const std::string& check, std::string message, std::string fix) {
    Add(check, Level::kWarn, std::move(message), std::move(fix));
  }
  void Fail(const std::string& check, std::string message, std::string fix) {
    Add(check, Level::kFail, std::move(message), std::move(fix));
  }
  std::vector<Finding> Take() { return std::move(findings_); }

 private:
  void Add(const std::string& check, Level level, std::string message, std::string fix) {
    findings_.push_back({prefix_ + check, level, std::move(message), std::move(fix)});
  }

  std::string prefix_;
  std::vector<Finding> findings_;
};

void ExamineKernel(const HostFacts& host, Findings& out) {
  const KernelVersion version = ParseKernelVersion(host.kernel);
  const std::string name = "Linux " + host.kernel;
  if (version < kOldest) {
    out.Fail("kernel", name + " is older than 5.15, which lbd needs",
             "apt install linux-image-amd64, and boot it");
  } else if (version < kManagedNeighbours) {
    out.Warn("kernel", name + " does not keep neighbours fresh by itself; that takes 5.16",
             "boot Linux 5.16 or later");
  } else if (version < kExplains) {
    out.Warn("kernel", name + " cannot explain and capture; that takes 5.18", "");
  } else {
    out.Ok("kernel", name);
  }
  if (version < kMemoryByCgroup && host.memlock_bytes < UINT64_MAX) {
    out.Fail("memory lock", "BPF maps count as locked memory here, and that is limited",
             "ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit");
  } else {
    out.Ok("memory lock", "BPF maps do not count as locked memory, or that is not limited");
  }
}

void ExamineDriver(const InterfaceFacts& interface, const HostFacts& host, model::XdpMode wanted,
                   Findings& out) {
  const std::string& name = interface.info.name;
  const bool generic = interface.info.xdp_attached == XdpAttached::kGeneric;
  const DriverSupport* driver = FindDriver(interface.nic.driver);
  const KernelVersion kernel = ParseKernelVersion(host.kernel);
  const bool native =
      driver != nullptr && driver->native != KernelVersion{} && driver->native <= kernel;
  std::string text = interface.nic.driver.empty() ? "unknown driver" : interface.nic.driver;
  if (driver == nullptr) {
    text += ": not in lbd's table of drivers";
  } else if (driver->native == KernelVersion{}) {
    text += ": has no native XDP";
  } else {
    text +=
        fmt::format(": native XDP since Linux {}.{}", driver->native.major, driver->native.minor);
    if (driver->zero_copy != KernelVersion{}) {
      text += fmt::format(", AF_XDP without copies since {}.{}", driver->zero_copy.major,
                          driver->zero_copy.minor);
    } else {
      text += ", AF_XDP by copying";
    }
    if (!driver->note.empty()) text += fmt::format("; {}", driver->note);
  }
  if (generic && native && wanted != model::XdpMode::kGeneric) {
    out.Warn("xdp mode", "generic, though " + text,
             fmt::format("set xdp_mode: native and read lbd's error; often: ethtool -K {} lro off",
                         name));
  } else if (generic && native) {
    out.Warn("xdp mode", "generic, as xdp_mode says: a packet costs several times as much. " + text,
             "set xdp_mode: native");
  } else if (generic) {
    out.Warn("xdp mode", "generic: a packet costs several times as much. " + text,
             "use a card whose driver has native XDP");
  } else {
    out.Ok("xdp mode", text);
  }
}

void ExamineProgram(const InterfaceFacts& interface, model::AttachMode attach, Findings& out) {
  const InterfaceInfo& info = interface.info;
  const bool direct = attach == model::AttachMode::kDirect;
  if (interface.own_program == 0 && info.xdp_program_id == 0) {
    out.Fail("program", "lbd's program is not attached", "systemctl restart lbd");
  } else if (interface.own_program == 0 && direct) {
    const bool generic = info.xdp_attached == XdpAttached::kGeneric;
    out.Fail(
        "program", fmt::format("program {} is attached, and lbd's is not", info.xdp_program_id),
        fmt::format("ip link set dev {} {} off", info.name, generic ? "xdpgeneric" : "xdpdrv"));
  } else if (interface.own_program == 0) {
    out.Fail("program",
             fmt::format("program {} is attached, and does not call lbd's", info.xdp_program_id),
             "systemctl restart lbd");
  } else if (!direct) {
    out.Ok("program", fmt::format("program {}, which program {} calls", interface.own_program,
                                  info.xdp_program_id));
  } else if (info.xdp_program_id != interface.own_program) {
    out.Fail("program",
             fmt::format("program {} is attached in place of lbd's", info.xdp_program_id),
             fmt::format("bpftool net show dev {}; then end what attached it", info.name));
  } else {
    out.Ok("program", fmt::format("program {}, and no other", interface.own_program));
  }
}

void ExamineOffloads(const InterfaceFacts& interface, Findings& out) {
  const std::string& name = interface.info.name;
  const Nic& nic = interface.nic;
  bool any = false;
  const auto must_be_off = [&](const char* feature, const char* short_name, const char* why) {
    if (!nic.Has(feature)) return;
    any = true;
    out.Fail("offload", fmt::format("{} is on: {}", feature, why),
             fmt::format("ethtool -K {} {} off", name, short_name));
  };
  must_be_off("rx-lro", "lro", "merged packets are longer than what may be sent on");
  must_be_off("rx-gro-hw", "rx-gro-hw", "merged packets are longer than what may be sent on");
  constexpr const char* kLate =
      "leaves segments and checksums for later, so that lbd sees packets that are too long, or "
      "without checksum";
  if (interface.peer.Has("tx-checksum-ip-generic")) {
    any = true;
    out.Warn("offload", fmt::format("its peer {} {}", interface.peer_name, kLate),
             fmt::format("ethtool -K {} tx off", interface.peer_name));
  } else if (nic.driver == "veth" && interface.peer_name.empty()) {
    any = true;
    out.Ok("offload", fmt::format("its peer is in another network namespace, where lbd does not "
                                  "see whether it {}; ethtool -K PEER tx off there prevents that",
                                  kLate));
  }
  if (interface.info.xdp_attached == XdpAttached::kGeneric && nic.Has("rx-gro")) {
    any = true;
    out.Warn("offload", "GRO with generic XDP: merged packets may be too big to send on",
             fmt::format("ethtool -K {} gro off", name));
  }
  if (!any) out.Ok("offload", "nothing merges packets before lbd sees them");
}

void ExamineQueues(const InterfaceFacts& interface, const HostFacts& host, Findings& out) {
  const std::string& name = interface.info.name;
  const Nic& nic = interface.nic;
  if (nic.rx_queues && *nic.rx_queues > 0) {
    const DriverSupport* driver = FindDriver(nic.driver);
    const uint32_t shares = driver != nullptr && driver->half_of_queues ? 2 : 1;
    const uint32_t wanted = std::min(host.cpus, nic.max_queues.value_or(host.cpus * 2) / shares);
    if (*nic.rx_queues < wanted) {
      out.Warn("queues", fmt::format("{} receive queues for {} CPUs", *nic.rx_queues, host.cpus),
               fmt::format("ethtool -L {} {} {}", name, nic.combined ? "combined" : "rx", wanted));
    } else {
      out.Ok("queues", fmt::format("{} receive queues, {} CPUs", *nic.rx_queues, host.cpus));
    }
    if (interface.irq_cpus.size() == 1 && *nic.rx_queues > 1) {
      out.Warn("interrupts", "all its interrupts go to one CPU",
               "systemctl enable --now irqbalance");
    } else if (interface.irq_cpus.size() > 1) {
      out.Ok("interrupts", fmt::format("they go to {} CPUs", interface.irq_cpus.size()));
    }
  }
  if (nic.rx_ring && *nic.rx_ring < kSmallRing && *nic.rx_ring < *nic.max_rx_ring) {
    out.Warn("ring",
             fmt::format("{} of {} receive descriptors: bursts are lost", *nic.rx_ring,
                         *nic.max_rx_ring),
             fmt::format("ethtool -G {} rx {}", name, std::min(*nic.max_rx_ring, 4096u)));
  } else if (nic.rx_ring) {
    out.Ok("ring", fmt::format("{} receive descriptors", *nic.rx_ring));
  }
}

void ExamineNuma(const InterfaceFacts& interface, Findings& out) {
  if (interface.numa_nodes < 2 || interface.numa_node < 0) return;
  std::vector<uint32_t> far;
  std::ranges::set_difference(interface.irq_cpus, interface.local_cpus, std::back_inserter(far));
  if (far.empty() || interface.local_cpus.empty()) {
    out.Ok("numa", fmt::format("node {}", interface.numa_node));
    return;
  }
  out.Warn("numa",
           fmt::format("it is at node {}, and CPUs of another node ({}) take its interrupts: each "
                       "packet crosses from node to node",
                       interface.numa_node, fmt::join(far, ",")),
           fmt::format("for i in $(ls /sys/class/net/{}/device/msi_irqs); do echo {} "
                       ">/proc/irq/$i/smp_affinity_list; done",
                       interface.info.name, fmt::join(interface.local_cpus, ",")));
}

}  // namespace

std::vector<Finding> ExamineHost(const HostFacts& host) {
  Findings out;
  ExamineKernel(host, out);
  if (host.bpf_jit == 0) {
    out.Fail("jit", "BPF programs are interpreted: many times slower",
             "sysctl -w net.core.bpf_jit_enable=1");
  } else {
    out.Ok("jit", "BPF programs are compiled");
  }
  if (!host.capable) {
    out.Fail("privileges", "CAP_NET_ADMIN, CAP_BPF or CAP_PERFMON is missing", "run it as root");
  } else {
    out.Ok("privileges", "CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON");
  }
  if (!host.bpffs) {
    out.Fail("bpffs", host.pin_path + " is not on a bpffs, without which lbd does not start",
             fmt::format("mount -t bpf bpf {}",
                         std::filesystem::path(host.pin_path).parent_path().string()));
  } else {
    out.Ok("bpffs", "pins are in " + host.pin_path);
  }
  if (!host.clock_synchronised) {
    out.Warn("clock", "not synchronised: logs, events and certificates may be off",
             "systemctl enable --now systemd-timesyncd");
  } else {
    out.Ok("clock", "synchronised");
  }
  return out.Take();
}

Finding ExamineDisk(const std::string& directory, uint64_t free_bytes) {
  if (free_bytes >= kLittleDisk) return {"disk", Level::kOk, "there is room in " + directory, ""};
  return {"disk", Level::kWarn,
          fmt::format("{} MiB are left for revisions in {}", free_bytes >> 20, directory),
          fmt::format("df -h {}; make room", directory)};
}

std::vector<Finding> ExamineInterface(const InterfaceFacts& interface, const HostFacts& host,
                                      const model::Settings& settings) {
  const InterfaceInfo& info = interface.info;
  Findings out(info.name + ": ");
  if (!info.admin_up) {
    out.Fail("link", "down", fmt::format("ip link set {} up", info.name));
  } else if (!info.running) {
    out.Fail("link", "no carrier",
             interface.peer_name.empty() ? "look at cable, switch port or peer"
                                         : fmt::format("ip link set {} up", interface.peer_name));
  } else {
    out.Ok("link", fmt::format("up, MTU {}", info.mtu));
  }
  ExamineProgram(interface, settings.attach, out);
  ExamineDriver(interface, host, settings.xdp_mode, out);
  ExamineOffloads(interface, out);
  ExamineQueues(interface, host, out);
  ExamineNuma(interface, out);
  // VIP packets and answers to probes never get as far as this filter, because XDP comes before it;
  // those of the host itself do.
  if (interface.rp_filter == 1 && settings.interfaces.size() > 1) {
    out.Warn(
        "rp_filter",
        "strict: what comes in here and would go out by another interface is lost to the host, "
        "such as its BGP sessions; VIPs and probes do not mind: XDP takes their packets before",
        fmt::format("sysctl -w net.ipv4.conf.{}.rp_filter=2", info.name));
  } else {
    out.Ok("rp_filter", interface.rp_filter == 1   ? "strict, with one interface"
                        : interface.rp_filter == 0 ? "off"
                                                   : "loose");
  }
  return out.Take();
}

std::vector<Finding> ExamineNextHops(const std::vector<NextHopResult>& next_hops,
                                     const std::map<IpAddress, int>& overheads) {
  Findings out;
  size_t resolved = 0;
  // The shortest way out of each interface, and by which header.
  std::map<std::string, std::pair<uint32_t, uint32_t>> headroom;
  for (const NextHopResult& result : next_hops) {
    if (!result.problem.empty()) {
      out.Fail("next hop", result.problem,
               fmt::format("ip route get {0}; ip neigh; ping -c 1 {0}", result.real.ToString()));
      continue;
    }
    ++resolved;
    const auto overhead = overheads.find(result.real);
    const uint32_t need = kClientMtu + (overhead == overheads.end() ? 0 : overhead->second);
    auto [it, fresh] = headroom.try_emplace(result.hop.interface, std::pair(result.hop.mtu, need));
    const auto lacks = [](const std::pair<uint32_t, uint32_t>& way) {
      return way.second > way.first ? way.second - way.first : 0;
    };
    const std::pair<uint32_t, uint32_t> way(result.hop.mtu, need);
    if (lacks(way) > lacks(it->second)) it->second = way;
  }
  if (resolved > 0) out.Ok("next hop", fmt::format("{} reals are resolved", resolved));
  for (const auto& [interface, way] : headroom) {
    const auto& [mtu, need] = way;
    if (mtu >= need) {
      out.Ok(interface + ": mtu headroom",
             fmt::format("{} bytes fit once encapsulated", kClientMtu));
      continue;
    }
    out.Warn(interface + ": mtu headroom",
             fmt::format("full packets of {} bytes need {}, but {} is the limit: clients are told, "
                         "which costs each of them a packet and a round trip",
                         kClientMtu, need, mtu),
             fmt::format("ip link set {} mtu {} (and on the way), or on the reals: ip route change "
                         "$(ip route show default) advmss {}",
                         interface, need, mtu - (need - kClientMtu) - 40));
  }
  return out.Take();
}

}  // namespace lb::dataplane
