// SPDX-License-Identifier: Apache-2.0
// Sends UDP flows to a VIP through a load balancer and counts at the reals what became of each
// packet:
//   flow_sender ROUTER-NETNS DEVICE LB-MAC VIP PACKETS-PER-SECOND REAL-NETNS...
// It attaches a counting program to eth0 of each real, sends until SIGTERM, and then
// prints "sent= lost= misdirected= pps=". No more than kWindow packets are under way, so that no
// queue on the path overflows and each missing one is a lost one; a flow is misdirected when it
// reaches another real than the one that it reached first.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "count_flows.skel.h"
#include "lbd/base/mac_address.h"
#include "lbd/base/unique_fd.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kFirstPort = 1024;
constexpr int kFlows = 4096;
constexpr uint64_t kWindow = 128;
constexpr int kBurst = 16;
constexpr auto kPatience = std::chrono::milliseconds(2000);

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "flow_sender: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

void EnterNetns(const std::string& name) {
  const lb::UniqueFd fd(open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() || setns(fd.get(), CLONE_NEWNET) != 0) Fail("enter " + name);
}

class Real {
 public:
  explicit Real(const std::string& netns) {
    EnterNetns(netns);
    program_ = count_flows_bpf__open_and_load();
    if (program_ == nullptr) Fail("load the counting program");
    link_ = bpf_program__attach_xdp(program_->progs.count_flows,
                                    static_cast<int>(if_nametoindex("eth0")));
    if (link_ == nullptr) Fail("attach to eth0 of " + netns);
  }
  uint32_t seen(int port) const {
    return std::atomic_ref<uint32_t>(program_->bss->seen[port]).load(std::memory_order_relaxed);
  }
  uint64_t total() const {
    return std::atomic_ref(program_->bss->total).load(std::memory_order_relaxed);
  }

 private:
  count_flows_bpf* program_;
  bpf_link* link_;
};

struct Frame {
  ethhdr eth{};
  iphdr ip{};
  udphdr udp{};
  char payload[18] = {};
} __attribute__((packed));

uint16_t Checksum(const void* data, size_t size) {
  uint32_t sum = 0;
  for (size_t i = 0; i < size; i += 2) {
    uint16_t word;
    std::memcpy(&word, static_cast<const char*>(data) + i, 2);
    sum += word;
  }
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

Frame FrameOf(int port, const lb::MacAddress& mac, in_addr_t vip) {
  Frame frame;
  const auto bytes = mac.bytes();
  std::memcpy(frame.eth.h_dest, bytes.data(), sizeof(frame.eth.h_dest));
  frame.eth.h_source[0] = 2;
  frame.eth.h_proto = htons(ETH_P_IP);
  iphdr ip{};
  ip.ihl = 5;
  ip.version = 4;
  ip.tot_len = htons(sizeof(Frame) - sizeof(ethhdr));
  ip.ttl = 64;
  ip.protocol = IPPROTO_UDP;
  ip.saddr = inet_addr("10.10.1.2");
  ip.daddr = vip;
  ip.check = Checksum(&ip, sizeof(ip));
  frame.ip = ip;
  frame.udp.source = htons(static_cast<uint16_t>(port));
  frame.udp.dest = htons(53);
  frame.udp.len = htons(sizeof(udphdr) + sizeof(frame.payload));
  return frame;
}

class Sender {
 public:
  Sender(const std::string& device, const lb::MacAddress& mac, in_addr_t vip)
      : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
    if (bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      Fail("bind to " + device);
    }
    for (int flow = 0; flow < kFlows; ++flow) {
      frames_.push_back(FrameOf(kFirstPort + flow, mac, vip));
    }
  }

  // The next packet of the next flows, one each.
  void Send(int count) {
    for (int i = 0; i < count; ++i) {
      const Frame& frame = frames_[next_];
      if (send(fd_.get(), &frame, sizeof(frame), 0) != sizeof(frame)) continue;  // tried again
      ++sent_[next_];
      ++total_;
      next_ = (next_ + 1) % kFlows;
    }
  }
  uint64_t total() const { return total_; }
  uint32_t sent(int flow) const { return sent_[flow]; }

 private:
  lb::UniqueFd fd_;
  std::vector<Frame> frames_;
  std::vector<uint32_t> sent_ = std::vector<uint32_t>(kFlows);
  size_t next_ = 0;
  uint64_t total_ = 0;
};

// Packets of the flows that reached a real.
class Receipts {
 public:
  explicit Receipts(const std::vector<Real>& reals) : reals_(reals) {}

  uint64_t Count() const {
    uint64_t count = 0;
    for (const Real& real : reals_) count += real.total();
    return count;
  }
  uint32_t Of(int flow) const {
    uint32_t count = 0;
    for (const Real& real : reals_) count += real.seen(kFirstPort + flow);
    return count;
  }
  uint64_t Misdirected() const {
    uint64_t count = 0;
    for (int flow = 0; flow < kFlows; ++flow) {
      uint32_t most = 0;
      for (const Real& real : reals_) most = std::max(most, real.seen(kFirstPort + flow));
      count += Of(flow) - most;
    }
    return count;
  }

 private:
  const std::vector<Real>& reals_;
};

volatile std::sig_atomic_t stopped = 0;

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::fprintf(stderr, "flow_sender: ROUTER-NETNS DEVICE LB-MAC VIP PPS REAL-NETNS...\n");
    return 2;
  }
  std::vector<Real> reals;
  for (int i = 6; i < argc; ++i) reals.emplace_back(argv[i]);
  EnterNetns(argv[1]);
  Sender sender(argv[2], lb::MacAddress::Parse(argv[3]).value(), inet_addr(argv[4]));
  const Receipts receipts(reals);
  const double rate = std::atof(argv[5]);

  std::signal(SIGTERM, [](int) { stopped = 1; });
  const auto start = Clock::now();
  uint64_t lost = 0;
  uint64_t arrived = 0;
  auto progress = start;
  std::puts("sending");
  std::fflush(stdout);
  while (stopped == 0) {
    if (sender.total() - arrived - lost + kBurst > kWindow) {
      const uint64_t now = receipts.Count();
      if (now > arrived) progress = Clock::now();
      arrived = now;
      if (sender.total() - arrived - lost + kBurst > kWindow) {
        if (Clock::now() - progress > kPatience) {  // what is missing is not coming any more
          lost = sender.total() - arrived;
          progress = Clock::now();
        }
        std::this_thread::yield();
        continue;
      }
    }
    sender.Send(kBurst);
    const auto due =
        start + std::chrono::nanoseconds(static_cast<int64_t>(1e9 * sender.total() / rate));
    if (due > Clock::now()) std::this_thread::sleep_until(due);
  }
  const std::chrono::duration<double> took = Clock::now() - start;
  const auto deadline = Clock::now() + kPatience;
  while (receipts.Count() < sender.total() && Clock::now() < deadline) std::this_thread::yield();
  std::printf("sent=%llu lost=%llu misdirected=%llu pps=%.0f\n",
              static_cast<unsigned long long>(sender.total()),
              static_cast<unsigned long long>(sender.total() - receipts.Count()),
              static_cast<unsigned long long>(receipts.Misdirected()),
              static_cast<double>(sender.total()) / took.count());
  return 0;
}
