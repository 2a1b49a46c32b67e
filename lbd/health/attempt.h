// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lbd/health/frame.h"
#include "lbd/health/prober.h"
#include "lbd/health/tcp_client.h"
#include "lbd/health/timer_wheel.h"

namespace lb::health {

struct CheckContext;
struct Task;

// A probe under way. Its source port is its identity; places are used again and again.
class Attempt final : public Timer {
 public:
  using OnTimer = std::function<void(Attempt&, Time)>;

  Attempt(uint16_t own_port, const OnTimer& on_timer) : port(own_port), on_timer_(on_timer) {}

  const uint16_t port;
  Task* task = nullptr;  // null: free
  std::shared_ptr<const CheckContext> context;
  // These stay when it is over, for answers that come late.
  Flow flow;
  Route route;
  int ifindex = 0;
  Time started;
  Time deadline;
  Duration stalled_before{};  // how long this thread had not got to run, in all
  bool sent = false;          // anything at all
  // The last connection of this port that ended by a reset of ours, whose other end may not have
  // heard of it yet.
  struct Ended {
    IpAddress address;  // of the other end
    uint16_t port = 0;
    uint32_t isn = 0;
    Time at = Time::min();
  };
  Ended ended;
  // Over TCP:
  uint32_t isn = 0;
  TcpClient tcp;
  std::unique_ptr<StreamAttempt> stream;
  // By a datagram:
  const DatagramProber* datagram = nullptr;
  uint64_t cookie = 0;
  std::string request;
  Time send_at;  // next
  Duration send_again{};

 private:
  void OnDue(Time now) override { on_timer_(*this, now); }

  const OnTimer& on_timer_;
};

// The places of one address family. The one that has been free the longest is taken first, so that
// a port rests as long as possible. Thread-compatible.
class AttemptTable {
 public:
  AttemptTable(uint16_t first_port, uint16_t last_port, const Attempt::OnTimer& on_timer)
      : first_port_(first_port) {
    for (uint32_t port = first_port; port <= last_port; ++port) {
      attempts_.push_back(std::make_unique<Attempt>(port, on_timer));
      free_.push_back(attempts_.back().get());
    }
  }

  // Null: all are under way.
  Attempt* Take() {
    if (free_.empty()) return nullptr;
    Attempt* const attempt = free_.front();
    free_.pop_front();
    return attempt;
  }
  void Release(Attempt& attempt) {
    attempt.task = nullptr;
    attempt.tcp.Close();
    attempt.stream.reset();
    attempt.datagram = nullptr;
    attempt.context.reset();
    free_.push_back(&attempt);
  }
  // The place with this port, also when it is free; null: no port of ours.
  Attempt* At(uint16_t port) {
    const size_t index = static_cast<uint16_t>(port - first_port_);
    return index < attempts_.size() ? attempts_[index].get() : nullptr;
  }
  // The probe under way with this port; null: none.
  Attempt* Find(uint16_t port) {
    Attempt* const attempt = At(port);
    return attempt != nullptr && attempt->task != nullptr ? attempt : nullptr;
  }
  size_t in_flight() const { return attempts_.size() - free_.size(); }

 private:
  uint16_t first_port_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  std::deque<Attempt*> free_;
};

}  // namespace lb::health
