// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/live_run.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>
#include <utility>

#include "bench_live.skel.h"
#include "tests/bench/contenders.h"
#include "tests/bench/cpus.h"
#include "tests/support/net_ns.h"

namespace lb::bench {
namespace {

using testing::NetNs;

constexpr int kBurst = 400'000;     // packets of one run
constexpr int kWarmUp = 2'000'000;  // packets at most; fewer flows are seen soon
// How long nothing must move before all has been received; and the longest that a busy machine may
// need until both threads have had their turn.
constexpr auto kQuiet = std::chrono::milliseconds(30);
constexpr auto kPatience = std::chrono::seconds(10);

// The thread that polls the only queue of a device which has "threaded" set.
StatusOr<pid_t> NapiThread(const std::string& device) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::string name;
    std::ifstream comm(entry.path() / "comm");
    std::getline(comm, name);
    if (name.starts_with(fmt::format("napi/{}-", device))) {
      return std::stoi(entry.path().filename());
    }
  }
  return NotFound(fmt::format("{} has no NAPI thread", device));
}

// The time that a thread, now idle, has spent on a CPU.
StatusOr<double> CpuNs(pid_t thread) {
  double ns = 0;
  if (!(std::ifstream(fmt::format("/proc/{}/schedstat", thread)) >> ns)) {
    return Internal("cannot read the CPU time of the NAPI thread");
  }
  return ns;
}

// The sender's device and the balancer's, each in a namespace of its own, gone with this.
class Lab {
 public:
  static StatusOr<Lab> Create() {
    LB_ASSIGN_OR_RETURN(NetNs outside, NetNs::Create());
    LB_ASSIGN_OR_RETURN(NetNs inside, NetNs::Create());
    Lab lab(std::move(outside), std::move(inside));
    // Without link-local addresses nobody but us sends anything.
    LB_RETURN_IF_ERROR(lab.outside_.Run(fmt::format(
        "ip link add {0} numrxqueues 1 numtxqueues 1 type veth peer {1} numrxqueues 1 "
        "numtxqueues 1 && ip link set {1} netns {2} && ip link set {0} addrgenmode none up",
        lab.sender_, lab.balancer_, lab.inside_.path())));
    LB_RETURN_IF_ERROR(
        lab.inside_.Run(fmt::format("ip link set {} addrgenmode none up", lab.balancer_)));
    return lab;
  }

  const NetNs& outside() const { return outside_; }
  StatusOr<int> SenderIndex() const { return Index(outside_, sender_); }
  StatusOr<int> BalancerIndex() const { return Index(inside_, balancer_); }

  Status AttachSink(int fd) const { return Attach(outside_, sender_, fd); }
  Status AttachBalancer(int fd) const { return Attach(inside_, balancer_, fd); }

  // Gives each device a thread that polls it; both must have a program. Returns the balancer's.
  StatusOr<pid_t> StartThreads(int sender_cpu, int balancer_cpu) const {
    LB_RETURN_IF_ERROR(StartThread(outside_, sender_, sender_cpu).status());
    return StartThread(inside_, balancer_, balancer_cpu);
  }

  // Packets that the balancer's device has received, modulo 2^32.
  StatusOr<uint32_t> Received() const {
    const NetNs::Inside there(inside_);
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return ErrnoStatus(errno, "list interfaces");
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
    for (const ifaddrs* item = list; item != nullptr; item = item->ifa_next) {
      if (balancer_ == item->ifa_name && item->ifa_addr != nullptr &&
          item->ifa_addr->sa_family == AF_PACKET) {
        return static_cast<const rtnl_link_stats*>(item->ifa_data)->rx_packets;
      }
    }
    return Internal("no statistics of " + balancer_);
  }

 private:
  Lab(NetNs outside, NetNs inside) : outside_(std::move(outside)), inside_(std::move(inside)) {}

  static StatusOr<int> Index(const NetNs& ns, const std::string& device) {
    const NetNs::Inside there(ns);
    const unsigned index = if_nametoindex(device.c_str());
    if (index == 0) return ErrnoStatus(errno, device);
    return static_cast<int>(index);
  }

  static Status Attach(const NetNs& ns, const std::string& device, int fd) {
    LB_ASSIGN_OR_RETURN(const int index, Index(ns, device));
    const NetNs::Inside there(ns);
    const int error = bpf_xdp_attach(index, fd, XDP_FLAGS_DRV_MODE, nullptr);
    return error == 0 ? OkStatus() : ErrnoStatus(-error, "attach to " + device);
  }

  static StatusOr<pid_t> StartThread(const NetNs& ns, const std::string& device, int cpu) {
    // sysfs shows the network namespace that it was mounted in.
    LB_RETURN_IF_ERROR(ns.Run(fmt::format(
        "unshare -m sh -c 'mount -t sysfs sysfs /sys && echo 1 >/sys/class/net/{}/threaded'",
        device)));
    LB_ASSIGN_OR_RETURN(const pid_t thread, NapiThread(device));
    LB_RETURN_IF_ERROR(PinToCpu(thread, cpu));
    return thread;
  }

  NetNs outside_;
  NetNs inside_;
  // Unique on this machine, as the names of threads are all that tells them apart.
  std::string sender_ = fmt::format("bs{}", getpid() % 100000);
  std::string balancer_ = fmt::format("bb{}", getpid() % 100000);
};

// Sends traffic from the lab's outside, and counts what comes back.
class Peer {
 public:
  static StatusOr<Peer> Create(const Lab& lab, const Case& c) {
    Peer peer;
    peer.frame_ = FrameOf(c);
    peer.skeleton_.reset(bench_live_bpf::open());
    if (peer.skeleton_ == nullptr) return ErrnoStatus(errno, "open bench_live");
    bench_traffic traffic = TrafficOf(c);
    LB_ASSIGN_OR_RETURN(traffic.out_ifindex, lab.SenderIndex());
    peer.skeleton_->rodata->bench_traffic = traffic;
    if (bench_live_bpf::load(peer.skeleton_.get()) != 0)
      return ErrnoStatus(errno, "load bench_live");
    peer.skeleton_->bss->bench_state.random = 0x9e3779b97f4a7c15;
    LB_RETURN_IF_ERROR(lab.AttachSink(bpf_program__fd(peer.skeleton_->progs.bench_sink)));
    return peer;
  }

  // Returns when everything has been sent.
  Status Send(const Lab& lab, int packets) {
    const NetNs::Inside there(lab.outside());
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame_.data(),
                .data_size_in = static_cast<uint32_t>(frame_.size()), .repeat = packets,
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
    const int error = bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.bench_sender), &run);
    return error == 0 ? OkStatus() : ErrnoStatus(-error, "send live frames");
  }

  uint64_t returned() const {
    const volatile bench_returned& count = skeleton_->bss->bench_returned;
    return uint64_t{count.expected} + count.other;
  }

  // What has come back since the last call; frames of `length` bytes are expected next.
  bench_returned TakeReturned(uint32_t length) {
    return std::exchange(skeleton_->bss->bench_returned, bench_returned{.length = length});
  }

 private:
  struct Destroy {
    void operator()(bench_live_bpf* skeleton) const { bench_live_bpf::destroy(skeleton); }
  };

  testing::Bytes frame_;
  std::unique_ptr<bench_live_bpf, Destroy> skeleton_;
};

// Waits until frames have arrived and no more do, neither at the balancer nor, on the way back, at
// the sink. Returns how many the balancer's device has received.
StatusOr<uint32_t> AwaitQuiet(const Lab& lab, const Peer& peer, uint32_t received_before) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::pair<uint32_t, uint64_t> last{received_before, 0};
  while (true) {
    std::this_thread::sleep_for(kQuiet);
    LB_ASSIGN_OR_RETURN(const uint32_t received, lab.Received());
    const std::pair now{received, peer.returned()};
    const bool arrived = received != received_before && now.second > 0;
    if ((arrived && now == last) || std::chrono::steady_clock::now() > deadline) return received;
    last = now;
  }
}

// Sends `packets` through a contender; nanoseconds of `thread` for each that arrived there.
StatusOr<double> RunContender(const Lab& lab, Peer& peer, const Contenders& contenders,
                              Contender contender, pid_t thread, int packets) {
  LB_RETURN_IF_ERROR(lab.AttachBalancer(contenders.fd(contender)));
  peer.TakeReturned(contenders.expected(contender).length);
  const uint64_t counted_before = contenders.counted();
  LB_ASSIGN_OR_RETURN(const uint32_t received_before, lab.Received());
  LB_ASSIGN_OR_RETURN(const double ns_before, CpuNs(thread));
  LB_RETURN_IF_ERROR(peer.Send(lab, packets));
  LB_ASSIGN_OR_RETURN(const uint32_t received_after, AwaitQuiet(lab, peer, received_before));
  LB_ASSIGN_OR_RETURN(const double ns_after, CpuNs(thread));
  const uint64_t counted = contenders.counted() - counted_before;
  const uint32_t received = received_after - received_before;
  const bench_returned returned = peer.TakeReturned(0);

  // What does not fit into a queue is lost on the way; what arrives must be handled right.
  if (received == 0 || returned.expected == 0 || returned.other != 0) {
    return Internal(fmt::format("{}: {} frames arrived, {} came back right and {} wrong",
                                ToString(contender), received, returned.expected, returned.other));
  }
  if (counted != (IsLbd(contender) ? received : 0)) {
    return Internal(fmt::format("lbd counted {} packets of {}", counted, received));
  }
  return (ns_after - ns_before) / received;
}

}  // namespace

StatusOr<std::vector<Result>> MeasureLive(const Case& c, int runs, int napi_cpu) {
  if (c.verdict != LB_FORWARD) return InvalidArgument("not for live runs: nothing comes back");
  LB_ASSIGN_OR_RETURN(const Lab lab, Lab::Create());
  LB_ASSIGN_OR_RETURN(const int ifindex, lab.BalancerIndex());
  const dataplane::NextHop hop{.destination = testing::kGatewayMac,
                               .source = testing::kBalancerMac,
                               .ifindex = ifindex,
                               .mtu = 1500};
  LB_ASSIGN_OR_RETURN(const Contenders contenders, Contenders::Load(c, hop));
  LB_ASSIGN_OR_RETURN(Peer peer, Peer::Create(lab, c));
  LB_RETURN_IF_ERROR(lab.AttachBalancer(contenders.fd(Contender::kLbd)));
  LB_ASSIGN_OR_RETURN(const pid_t thread, lab.StartThreads(sched_getcpu(), napi_cpu));

  LB_RETURN_IF_ERROR(
      RunContender(lab, peer, contenders, Contender::kLbd, thread, kWarmUp).status());
  std::array<std::vector<double>, kContenders.size()> ns;
  for (int run = 0; run < runs; ++run) {
    for (size_t i = 0; i < kContenders.size(); ++i) {
      LB_ASSIGN_OR_RETURN(const double value,
                          RunContender(lab, peer, contenders, kContenders[i], thread, kBurst));
      ns[i].push_back(value);
    }
  }
  std::vector<Result> results;
  for (size_t i = 0; i < kContenders.size(); ++i) {
    results.push_back(Summarize(fmt::format("live_{}", c.name), ToString(kContenders[i]), ns[i]));
  }
  return results;
}

}  // namespace lb::bench
