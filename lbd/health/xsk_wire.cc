// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/xsk_wire.h"

#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <thread>

#include "lbd/base/unique_fd.h"

namespace lb::health {
namespace {

// Together the queues keep about so many frames ready: what comes in 100 ms of 10 000 HTTP checks a
// second, for which this thread may have to wait on a busy machine.
constexpr uint32_t kReceiveFrames = 4096;
constexpr uint32_t kMinFill = 128;
constexpr uint32_t kMaxFill = 4096;
// With so many answers lost, three tries of one probe may all fail by that.
constexpr uint32_t kLossPercent = 10;
// How often the kernel is asked for what it dropped.
constexpr auto kLossPause = std::chrono::milliseconds(10);
// The kernel frees a queue a little after its socket was closed.
constexpr int kBindTries = 100;
constexpr auto kBindPause = std::chrono::milliseconds(10);
// A time of arrival that is older than this is not one.
constexpr auto kOldest = std::chrono::seconds(1);
constexpr size_t kMetadata = sizeof(uint64_t);  // lb_probe_metadata

// Receive queues of an interface; 1 where the driver does not say.
uint32_t CountQueues(const std::string& interface) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&channels);
  if (!fd.valid() || ioctl(fd.get(), SIOCETHTOOL, &request) != 0) return 1;
  return std::max(1u, channels.rx_count + channels.combined_count);
}

Status SocketStatus(int error, const std::string& what) {
  switch (error) {
    case EPERM:
    case EACCES:
      return PermissionDenied(what +
                              ": Operation not permitted; run as root or with CAP_NET_RAW, or "
                              "write \"health: none\" to run without checks");
    case EAFNOSUPPORT:
    case ESOCKTNOSUPPORT:
    case EPROTONOSUPPORT:
      return FailedPrecondition(
          what +
          ": this kernel has no AF_XDP (CONFIG_XDP_SOCKETS); write \"health: none\" to run "
          "without checks");
    case EOPNOTSUPP:
      return FailedPrecondition(what +
                                ": the driver has no zero-copy; write probes.zero_copy: false");
    case EBUSY:
      return Unavailable(what +
                         ": another program has an AF_XDP socket there; end it (ss --xdp -p names "
                         "it where the kernel has xsk_diag)");
    default:
      return ErrnoStatus(error, what);
  }
}

}  // namespace

StatusOr<std::unique_ptr<Umem>> Umem::Create(uint32_t frames, uint32_t fill, uint32_t completion) {
  std::unique_ptr<Umem> umem(new Umem());
  umem->bytes_ = size_t{frames} * kFrameSize;
  umem->area_ = mmap(nullptr, umem->bytes_, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (umem->area_ == MAP_FAILED) {
    umem->area_ = nullptr;
    return ErrnoStatus(errno, "memory for probes");
  }
  const xsk_umem_config config{.fill_size = fill,
                               .comp_size = completion,
                               .frame_size = kFrameSize,
                               .frame_headroom = 0,
                               .flags = 0};
  const int error = xsk_umem__create(&umem->umem_, umem->area_, umem->bytes_, &umem->fill_,
                                     &umem->completion_, &config);
  if (error != 0) return SocketStatus(-error, "share memory with an AF_XDP socket");
  umem->free_.reserve(frames);
  for (uint32_t i = frames; i > 0; --i) umem->free_.push_back(uint64_t{i - 1} * kFrameSize);
  return umem;
}

Umem::~Umem() {
  if (umem_ != nullptr) xsk_umem__delete(umem_);
  if (area_ != nullptr) munmap(area_, bytes_);
}

bool Umem::Take(uint64_t& address) {
  if (free_.empty()) return false;
  address = free_.back();
  free_.pop_back();
  return true;
}

StatusOr<std::unique_ptr<XskSocket>> XskSocket::Create(Umem& umem, const Options& options) {
  std::unique_ptr<XskSocket> self(new XskSocket(umem));
  self->shares_first_ = !umem.first_taken_;
  self->sends_ = options.sends;
  self->fill_size_ = options.fill;
  const xsk_socket_config config{
      .rx_size = options.fill,
      .tx_size = kSendRing,
      .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,  // ours is there already
      .xdp_flags = 0,
      .bind_flags = static_cast<uint16_t>((options.zero_copy ? XDP_ZEROCOPY : XDP_COPY) |
                                          XDP_USE_NEED_WAKEUP)};
  int error = 0;
  for (int tries = 0; tries < kBindTries; ++tries) {
    error = -xsk_socket__create_shared(&self->socket_, options.interface.c_str(), options.queue,
                                       umem.umem_, &self->rx_, options.sends ? &self->tx_ : nullptr,
                                       &self->fill_ring(), &self->completion_ring(), &config);
    if (error != EBUSY) break;
    std::this_thread::sleep_for(kBindPause);
  }
  if (error != 0) {
    self->socket_ = nullptr;
    return SocketStatus(error, fmt::format("open an AF_XDP socket on queue {} of {}", options.queue,
                                           options.interface));
  }
  umem.first_taken_ = true;
  self->Fill();
  return self;
}

XskSocket::~XskSocket() {
  if (socket_ != nullptr) xsk_socket__delete(socket_);
}

bool XskSocket::zero_copy() const {
  xdp_options options{};
  socklen_t length = sizeof(options);
  return getsockopt(fd(), SOL_XDP, XDP_OPTIONS, &options, &length) == 0 &&
         (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
}

// Keeps so many frames with the kernel as the ring takes.
void XskSocket::Fill() {
  xsk_ring_prod& ring = fill_ring();
  uint32_t index = 0;
  uint32_t added = 0;
  uint64_t address = 0;
  while (in_fill_ < fill_size_ && umem_.Take(address)) {
    if (xsk_ring_prod__reserve(&ring, 1, &index) != 1) {
      umem_.Give(address);
      break;
    }
    // No time of arrival but that of the next packet may be found there.
    std::memset(umem_.At(address) + XDP_PACKET_HEADROOM - kMetadata, 0, kMetadata);
    *xsk_ring_prod__fill_addr(&ring, index) = address;
    ++in_fill_;
    ++added;
  }
  if (added != 0) xsk_ring_prod__submit(&ring, added);
}

void XskSocket::Reap() {
  if (outstanding_ == 0) return;
  xsk_ring_cons& ring = completion_ring();
  uint32_t index = 0;
  const uint32_t count = xsk_ring_cons__peek(&ring, outstanding_, &index);
  for (uint32_t i = 0; i < count; ++i) {
    umem_.Give(*xsk_ring_cons__comp_addr(&ring, index + i));
  }
  if (count == 0) return;
  xsk_ring_cons__release(&ring, count);
  outstanding_ -= count;
}

Time XskSocket::ReceivedAt(const uint8_t* frame, Time now) {
  uint64_t nanos = 0;
  std::memcpy(&nanos, frame - kMetadata, sizeof(nanos));
  const Time at{std::chrono::nanoseconds(nanos)};
  // A driver without metadata leaves anything there.
  return at <= now && now - at < kOldest ? at : now;
}

std::span<uint8_t> XskSocket::Reserve() {
  if (!has_reserved_) {
    if (xsk_prod_nb_free(&tx_, 1) < 1 || !umem_.Take(reserved_)) {
      Flush();
      if (xsk_prod_nb_free(&tx_, 1) < 1 || !umem_.Take(reserved_)) return {};
    }
    has_reserved_ = true;
  }
  return {umem_.At(reserved_), Umem::kFrameSize};
}

void XskSocket::Commit(size_t size) {
  uint32_t index = 0;
  if (!has_reserved_ || size == 0 || xsk_ring_prod__reserve(&tx_, 1, &index) != 1) return;
  xdp_desc& descriptor = *xsk_ring_prod__tx_desc(&tx_, index);
  descriptor = {.addr = reserved_, .len = static_cast<uint32_t>(size), .options = 0};
  has_reserved_ = false;
  ++uncommitted_;
}

int XskSocket::Flush() {
  if (!sends_) return 0;
  if (uncommitted_ != 0) {
    xsk_ring_prod__submit(&tx_, uncommitted_);
    outstanding_ += uncommitted_;
    uncommitted_ = 0;
  }
  Reap();
  // One call of copy mode takes 32 frames; EAGAIN asks for the next.
  constexpr int kMaxCalls = kSendRing / 32 + 8;
  for (int call = 0; call < kMaxCalls && outstanding_ != 0; ++call) {
    if (sendto(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0) {
      Reap();
      break;
    }
    const int error = errno;
    Reap();
    if (error == EAGAIN || error == EBUSY || error == EINTR || error == ENOBUFS) continue;
    return error;
  }
  return 0;
}

void XskSocket::AddStatistics(SocketReport& report) const {
  xdp_statistics statistics{};
  socklen_t length = sizeof(statistics);
  if (getsockopt(fd(), SOL_XDP, XDP_STATISTICS, &statistics, &length) != 0) return;
  report.rx_dropped += statistics.rx_dropped;
  report.rx_ring_full += statistics.rx_ring_full;
  report.fill_ring_empty += statistics.rx_fill_ring_empty_descs;
  report.tx_invalid += statistics.tx_invalid_descs;
}

Status XskWire::Available() {
  const UniqueFd fd(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
  return fd.valid() ? OkStatus() : SocketStatus(errno, "open an AF_XDP socket for health probes");
}

void XskWire::Open(const std::vector<Interface>& interfaces, bool zero_copy) {
  Close();
  uint32_t queues = 0;
  for (const Interface& interface : interfaces) {
    Port& port = ports_[interface.index];
    port.name = interface.name;
    port.queues = CountQueues(interface.name);
    queues += port.queues;
  }
  if (ports_.empty()) return;
  const uint32_t fill = std::clamp(std::bit_floor(kReceiveFrames / queues), kMinFill, kMaxFill);
  const uint32_t frames = queues * fill + XskSocket::kSendRing * ports_.size();
  auto umem = Umem::Create(frames, fill, XskSocket::kSendRing);
  if (umem.ok()) umem_ = *std::move(umem);
  for (auto& [index, port] : ports_) {
    const Status status = umem_ != nullptr ? OpenPort(index, port, fill, zero_copy) : umem.status();
    if (status.ok()) continue;
    port.problem = Message(status);
    port.sockets.clear();
  }
}

Status XskWire::OpenPort(int ifindex, Port& port, uint32_t fill, bool zero_copy) {
  LB_ASSIGN_OR_RETURN(const uint32_t first, path_.AddInterface(ifindex, port.queues));
  for (uint32_t queue = 0; queue < port.queues; ++queue) {
    LB_ASSIGN_OR_RETURN(auto socket, XskSocket::Create(*umem_, {.interface = port.name,
                                                                .queue = queue,
                                                                .fill = fill,
                                                                .sends = queue == 0,
                                                                .zero_copy = zero_copy}));
    LB_RETURN_IF_ERROR(path_.SetSocket(first + queue, socket->fd()));
    port.sockets.push_back(std::move(socket));
  }
  return OkStatus();
}

void XskWire::Close() {
  path_.Clear();
  reserving_ = nullptr;
  ports_.clear();
  umem_.reset();
}

bool XskWire::Intact() const {
  return std::ranges::all_of(ports_, [](const auto& item) {
    const auto& [index, port] = item;
    return port.problem.empty() && static_cast<int>(if_nametoindex(port.name.c_str())) == index &&
           CountQueues(port.name) == port.queues;
  });
}

void XskWire::Test(Bytes frame) {
  for (auto& [index, port] : ports_) {
    port.test_problem.clear();
    port.tested = !port.sockets.empty();
    for (uint32_t queue = 0; queue < port.sockets.size(); ++queue) {
      const Status status = path_.Test(index, queue, frame);
      if (status.ok()) continue;
      port.tested = false;
      if (status.code() == absl::StatusCode::kFailedPrecondition) {
        port.test_problem = Message(status);
      }
      break;
    }
  }
}

std::vector<int> XskWire::fds() const {
  std::vector<int> fds;
  for (const auto& [index, port] : ports_) {
    for (const auto& socket : port.sockets) fds.push_back(socket->fd());
  }
  return fds;
}

void XskWire::Flush() {
  for (auto& [index, port] : ports_) {
    if (port.sockets.empty()) continue;
    const int error = port.sockets.front()->Flush();
    port.send_problem =
        error == 0 ? "" : Message(ErrnoStatus(error, fmt::format("send by {}", port.name)));
  }
}

std::vector<SocketReport> XskWire::MakeReport() const {
  std::vector<SocketReport> reports;
  for (const auto& [index, port] : ports_) {
    SocketReport& report = reports.emplace_back();
    report.interface = port.name;
    report.problem = Problem(index);
    report.queues = port.queues;
    report.tested = port.tested;
    for (const auto& socket : port.sockets) {
      report.zero_copy = socket->zero_copy();
      socket->AddStatistics(report);
    }
  }
  return reports;
}

std::span<uint8_t> XskWire::Reserve(int ifindex) {
  const auto port = ports_.find(ifindex);
  if (port == ports_.end() || port->second.sockets.empty()) return {};
  reserving_ = port->second.sockets.front().get();
  return reserving_->Reserve();
}

void XskWire::Commit(size_t size) { reserving_->Commit(size); }

std::string XskWire::Problem(int ifindex) const {
  const auto port = ports_.find(ifindex);
  if (port == ports_.end()) return "there is no AF_XDP socket on its interface";
  if (!port->second.problem.empty()) return port->second.problem;
  if (!port->second.test_problem.empty()) return port->second.test_problem;
  return port->second.send_problem;
}

void XskWire::MeasureLoss(Time now) {
  uint64_t received = 0;
  SocketReport report;
  for (const auto& [index, port] : ports_) {
    for (const auto& socket : port.sockets) {
      received += socket->received();
      socket->AddStatistics(report);
    }
  }
  loss_.Update(received, report.rx_dropped + report.rx_ring_full, now);
}

std::string XskWire::Loss(Time now) {
  if (now - loss_.updated_at() >= kLossPause) MeasureLoss(now);
  if (loss_.percent() < kLossPercent) return "";
  return fmt::format("the prober itself is too slow: {} % of the answers found no room",
                     loss_.percent());
}

}  // namespace lb::health
