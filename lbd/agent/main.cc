// SPDX-License-Identifier: Apache-2.0
// lbagent: the real server's side of lbd.
#include <bpf/libbpf.h>
#include <fmt/ranges.h>
#include <gflags/gflags.h>
#include <glog/logging.h>
#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "lbd/agent/agent.h"
#include "lbd/agent/arguments.h"
#include "lbd/agent/doctor.h"
#include "lbd/agent/sysctl_check.h"
#include "lbd/base/service_manager.h"

DEFINE_string(interface, "", "Interfaces on which encapsulated packets arrive. Required.");
DEFINE_string(vip, "", "Addresses or prefixes that this host serves. Required.");
DEFINE_uint32(gue_port, 6080, "UDP port of GUE packets from load balancers: 1..65535.");
DEFINE_string(
    xdp_mode, "auto",
    "native: in the driver; generic: in the kernel's generic hook, slower; auto: native where "
    "the driver can, else generic. A program that is taken over keeps its mode.");
DEFINE_string(bpffs, "/sys/fs/bpf/lbagent",
              "Directory on a mounted bpffs; links and maps pinned there outlive the process.");
DEFINE_uint32(server_id, 0,
              "This real's server id, to be written into the TCP headers of the VIPs' connections; "
              "the one that lbd's configuration gives it. 0: none.");
DEFINE_bool(echo_server_ids, false,
            "Repeat the server ids of the servers that this host connects to; for clients, which "
            "need neither --interface nor --vip.");
DEFINE_string(cgroup, "",
              "The processes to which --server_id and --echo_server_ids apply: a directory of a "
              "cgroup2 hierarchy. Default: all.");
DEFINE_string(output, "table", "What the doctor prints, also -o: table, or json for scripts.");
DEFINE_bool(detach, false, "Remove what a crashed lbagent left (VIPs, programs, pins), and exit.");

namespace lb::agent {
namespace {

constexpr char kUsage[] =
    "The real server's side of lbd: puts VIPs on lo and unwraps the packets that load\n"
    "balancers send to this host.\n\n"
    "  lbagent --interface eth0 --vip 192.0.2.10 --vip 2001:db8::10\n"
    "  lbagent doctor --interface eth0 --vip 192.0.2.10      says what is wrong, changes "
    "nothing\n\n"
    "With --server_id it also tells clients the id by which load balancers find this host, and on\n"
    "these clients, where they are yours, it repeats the id: lbagent --echo_server_ids\n\n"
    "Lists may be repeated flags or separated by commas. Runs until SIGTERM or SIGINT, then\n"
    "removes what it set up. After SIGHUP, SIGKILL or a crash all stays in place and works on;\n"
    "the next lbagent takes it over without a gap (an upgrade), and lbagent --detach removes it.\n"
    "Exit codes: 0 removed or left as told; 1 failed, or the doctor found a fault; 2 wrong usage.";

StatusOr<model::XdpMode> ParseMode(const std::string& text) {
  for (const auto mode :
       {model::XdpMode::kNative, model::XdpMode::kGeneric, model::XdpMode::kAuto}) {
    if (model::ToString(mode) == text) return mode;
  }
  return InvalidArgument(fmt::format("--xdp_mode: native, generic or auto, got \"{}\"", text));
}

StatusOr<Options> ParseOptions() {
  Options options;
  options.interfaces = SplitList(FLAGS_interface);
  options.server_ids = {
      .server_id = FLAGS_server_id, .echo = FLAGS_echo_server_ids, .cgroup = FLAGS_cgroup};
  options.pin_path = FLAGS_bpffs;
  const bool client = FLAGS_echo_server_ids && FLAGS_interface.empty() && FLAGS_vip.empty();
  if (client && FLAGS_server_id != 0) return InvalidArgument("--server_id: needs a --vip");
  if (!FLAGS_cgroup.empty() && !options.server_ids.any()) {
    return InvalidArgument("--cgroup: needs --server_id or --echo_server_ids");
  }
  if (client) return options;
  if (options.interfaces.empty()) return InvalidArgument("--interface: give at least one, as eth0");
  for (const std::string& text : SplitList(FLAGS_vip)) {
    auto vip = IpPrefix::Parse(text);
    if (!vip.ok()) return InvalidArgument(fmt::format("--vip {}: {}", text, Message(vip.status())));
    const IpAddress& first = vip->address();
    if (first.is_unspecified() || first.is_multicast() || first.is_loopback() ||
        first.is_broadcast()) {
      return InvalidArgument(fmt::format("--vip {}: must be a unicast address or prefix", text));
    }
    if (std::ranges::find(options.vips, *vip) == options.vips.end()) options.vips.push_back(*vip);
  }
  if (options.vips.empty()) return InvalidArgument("--vip: give at least one, as 192.0.2.10");
  LB_ASSIGN_OR_RETURN(options.xdp_mode, ParseMode(FLAGS_xdp_mode));
  if (FLAGS_gue_port == 0 || FLAGS_gue_port > 65535) {
    return InvalidArgument(fmt::format("--gue_port: must be 1..65535, got {}", FLAGS_gue_port));
  }
  options.gue_port = static_cast<uint16_t>(FLAGS_gue_port);
  return options;
}

int LogLibbpf(libbpf_print_level /*level*/, const char* format, va_list arguments) {
  if (!VLOG_IS_ON(1)) return 0;
  char line[1024];
  const int length = vsnprintf(line, sizeof(line), format, arguments);
  VLOG(1) << line;
  return length;
}

void WarnAboutSysctls(const Options& options) {
  if (std::ranges::none_of(options.vips, &IpPrefix::is_v4)) return;
  for (const std::string& interface : options.interfaces) {
    for (const auto& warning : CheckSysctls("/proc/sys/net/ipv4/conf", interface)) {
      LOG(WARNING) << warning;
    }
  }
}

// Returns the signal that ended the run.
int RunUntilSignal(Agent& agent, int signals, const ServiceManager& manager) {
  using std::chrono::milliseconds;
  const int pause =
      manager.watchdog()
          ? static_cast<int>(duration_cast<milliseconds>(*manager.watchdog() / 3).count())
          : -1;
  while (true) {
    pollfd polled[] = {{signals, POLLIN, 0}, {agent.event_fd(), POLLIN, 0}};
    if (poll(polled, std::size(polled), pause) < 0) continue;
    manager.Watchdog();
    if (polled[1].revents != 0) {
      if (const Status status = agent.OnEvents(); !status.ok()) LOG(ERROR) << Message(status);
    }
    signalfd_siginfo info;
    if (polled[0].revents != 0 && read(signals, &info, sizeof(info)) == sizeof(info)) {
      return static_cast<int>(info.ssi_signo);
    }
  }
}

Status Run(const Options& options) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  const UniqueFd signals(signalfd(-1, &set, SFD_CLOEXEC));
  if (!signals.valid()) return ErrnoStatus(errno, "create a signalfd");

  LB_ASSIGN_OR_RETURN(Agent agent, Agent::Start(options));
  WarnAboutSysctls(options);
  const std::string status =
      options.vips.empty()
          ? "repeating server ids"
          : fmt::format("serving {} on {}", FLAGS_vip, fmt::join(options.interfaces, ", "));
  LOG(INFO) << status;
  const ServiceManager manager = ServiceManager::FromEnvironment();
  manager.Ready(status);

  const int signal = RunUntilSignal(agent, signals.get(), manager);
  manager.Stopping();
  if (const auto counts = agent.ReadCounts(); counts.ok()) {
    for (const auto& count : *counts) LOG(INFO) << count.outcome << ": " << count.packets;
  }
  if (signal == SIGHUP) {
    LOG(INFO) << "SIGHUP: VIPs and decapsulation stay in place";
    return OkStatus();
  }
  LB_RETURN_IF_ERROR(agent.Detach());
  LOG(INFO) << "detached, VIPs removed";
  return OkStatus();
}

// Prints what is found on this host; an error where something fails.
Status Doctor(const Options& options) {
  LB_ASSIGN_OR_RETURN(const RealFacts facts, ReadRealFacts(options));
  const std::vector<dataplane::Finding> findings = ExamineReal(facts);
  std::cout << (FLAGS_output == "json" ? dataplane::ToJson(findings) : dataplane::ToText(findings));
  return dataplane::ToStatus(findings);
}

constexpr int kUsageError = 2;

// Prints what went wrong, and returns the exit code.
int Report(const Status& status) {
  if (!status.ok()) std::cerr << "lbagent: " << Message(status) << '\n';
  return status.ok() ? 0 : 1;
}

int Main(int argc, char** argv) {
  std::vector<std::string> args(argv, argv + argc);
  for (const char* name : {"vip", "interface"}) args = JoinRepeated(args, name);
  std::ranges::replace(args, "-o", "--output");
  std::vector<char*> pointers;
  for (std::string& arg : args) pointers.push_back(arg.data());
  pointers.push_back(nullptr);
  int count = static_cast<int>(args.size());
  char** arguments = pointers.data();

  FLAGS_logtostderr = true;
  gflags::SetUsageMessage(kUsage);
  gflags::SetVersionString(LBD_VERSION);
  gflags::ParseCommandLineFlags(&count, &arguments, true);
  google::InitGoogleLogging(argv[0]);
  libbpf_set_print(LogLibbpf);

  const bool doctor = count == 2 && std::string_view(arguments[1]) == "doctor";
  if (count > 1 && !doctor) {
    std::cerr << "lbagent: unexpected argument \"" << arguments[1] << "\"; see lbagent --help\n";
    return kUsageError;
  }
  if (FLAGS_output != "table" && FLAGS_output != "json") {
    std::cerr << "lbagent: --output: table or json, got \"" << FLAGS_output << "\"\n";
    return kUsageError;
  }
  if (FLAGS_detach) return Report(Agent::Detach(FLAGS_bpffs));
  const auto options = ParseOptions();
  if (!options.ok()) {
    Report(options.status());
    return kUsageError;
  }
  return Report(doctor ? Doctor(*options) : Run(*options));
}

}  // namespace
}  // namespace lb::agent

int main(int argc, char** argv) { return lb::agent::Main(argc, argv); }
