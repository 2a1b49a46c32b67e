// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <xdp/xsk.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/dataplane/probe_path.h"
#include "lbd/health/frame.h"
#include "lbd/health/loss_meter.h"
#include "lbd/health/report.h"
#include "lbd/health/time.h"
#include "lbd/health/wire.h"

namespace lb::health {

// Memory that the kernel and this process exchange frames in. Frames of one size; which of them are
// free is known here alone.
class Umem {
 public:
  static constexpr uint32_t kFrameSize = 2048;

  static StatusOr<std::unique_ptr<Umem>> Create(uint32_t frames, uint32_t fill,
                                                uint32_t completion);
  ~Umem();
  Umem(const Umem&) = delete;
  Umem& operator=(const Umem&) = delete;

  uint8_t* At(uint64_t address) const { return static_cast<uint8_t*>(area_) + address; }
  // The address of a free frame; false: there is none.
  bool Take(uint64_t& address);
  void Give(uint64_t address) { free_.push_back(address - address % kFrameSize); }
  size_t free_frames() const { return free_.size(); }

 private:
  friend class XskSocket;
  Umem() = default;

  void* area_ = nullptr;
  size_t bytes_ = 0;
  xsk_umem* umem_ = nullptr;
  xsk_ring_prod fill_{};  // of the first socket
  xsk_ring_cons completion_{};
  bool first_taken_ = false;
  std::vector<uint64_t> free_;
};

// One AF_XDP socket: of one queue of one interface.
class XskSocket {
 public:
  struct Options {
    std::string interface;
    uint32_t queue = 0;
    uint32_t fill = 0;  // frames that wait for packets, and may wait for us
    bool sends = false;
    bool zero_copy = false;
  };
  static constexpr uint32_t kSendRing = 2048;

  static StatusOr<std::unique_ptr<XskSocket>> Create(Umem& umem, const Options& options);
  ~XskSocket();
  XskSocket(const XskSocket&) = delete;
  XskSocket& operator=(const XskSocket&) = delete;

  int fd() const { return xsk_socket__fd(socket_); }
  bool zero_copy() const;
  // Calls `visitor(frame, received)` for what has come.
  template <typename Visitor>
  void Receive(Time now, Visitor visitor);
  // As Wire has them.
  std::span<uint8_t> Reserve();
  void Commit(size_t size);
  // Hands to the kernel what was committed. An errno value where the device is in no state to send;
  // 0: all is well.
  int Flush();
  void AddStatistics(SocketReport& report) const;
  uint64_t received() const { return received_; }

 private:
  explicit XskSocket(Umem& umem) : umem_(umem) {}

  void Fill();
  void Reap();
  xsk_ring_prod& fill_ring() { return shares_first_ ? umem_.fill_ : fill_; }
  xsk_ring_cons& completion_ring() { return shares_first_ ? umem_.completion_ : completion_; }
  static Time ReceivedAt(const uint8_t* frame, Time now);

  Umem& umem_;
  xsk_socket* socket_ = nullptr;
  bool shares_first_ = false;  // uses the rings that came with the memory
  bool sends_ = false;
  uint32_t fill_size_ = 0;
  uint32_t in_fill_ = 0;
  uint32_t outstanding_ = 0;  // sent, not yet reaped
  uint64_t reserved_ = 0;
  bool has_reserved_ = false;
  uint32_t uncommitted_ = 0;  // in the ring, not yet submitted
  uint64_t received_ = 0;
  xsk_ring_cons rx_{};
  xsk_ring_prod tx_{};
  xsk_ring_prod fill_{};
  xsk_ring_cons completion_{};
};

// The sockets of all queues of some interfaces, on one memory. Belongs to the prober's thread.
class XskWire final : public Wire {
 public:
  // Whether this host can do AF_XDP at all.
  static Status Available();

  explicit XskWire(dataplane::ProbePath& path) : path_(path) {}

  // Opens a socket per receive queue of each interface, in place of all before. What cannot be
  // opened is a Problem(), and the rest works.
  struct Interface {
    std::string name;
    int index = 0;
    bool operator==(const Interface&) const = default;
  };
  void Open(const std::vector<Interface>& interfaces, bool zero_copy);
  void Close();
  // Whether the interfaces are what they were when they were opened, and all of them could be.
  bool Intact() const;
  // Tries whether the XDP program would hand `frame` over, on every queue.
  void Test(Bytes frame);

  std::vector<int> fds() const;
  template <typename Visitor>
  void Receive(Time now, Visitor visitor) {
    for (auto& [index, port] : ports_) {
      for (const auto& socket : port.sockets) socket->Receive(now, visitor);
    }
  }
  void Flush();
  std::vector<SocketReport> MakeReport() const;

  std::span<uint8_t> Reserve(int ifindex) override;
  void Commit(size_t size) override;
  std::string Problem(int ifindex) const override;
  std::string Loss(Time now) override;
  // Takes note of what was lost. To be called once a second.
  void MeasureLoss(Time now);

 private:
  struct Port {
    std::string name;
    uint32_t queues = 0;
    std::vector<std::unique_ptr<XskSocket>> sockets;  // by queue; the first one sends
    std::string problem;                              // why there are none
    std::string send_problem;                         // the last attempt to send
    std::string test_problem;
    bool tested = false;
  };

  Status OpenPort(int ifindex, Port& port, uint32_t fill, bool zero_copy);

  dataplane::ProbePath& path_;
  std::unique_ptr<Umem> umem_;
  std::map<int, Port> ports_;  // destroyed before the memory
  XskSocket* reserving_ = nullptr;
  LossMeter loss_;
};

template <typename Visitor>
void XskSocket::Receive(Time now, Visitor visitor) {
  constexpr uint32_t kBatch = 256;
  uint32_t index = 0;
  const uint32_t count = xsk_ring_cons__peek(&rx_, kBatch, &index);
  for (uint32_t i = 0; i < count; ++i) {
    const xdp_desc& descriptor = *xsk_ring_cons__rx_desc(&rx_, index + i);
    const uint8_t* frame = umem_.At(descriptor.addr);
    visitor(Bytes(frame, descriptor.len), ReceivedAt(frame, now));
    umem_.Give(descriptor.addr);
  }
  if (count == 0) return;
  xsk_ring_cons__release(&rx_, count);
  in_fill_ -= count;
  received_ += count;
  Fill();
}

}  // namespace lb::health
