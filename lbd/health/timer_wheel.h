// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "lbd/health/time.h"

namespace lb::health {

// What a TimerWheel calls back. It is in at most one wheel, and leaves it when it is destroyed.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  virtual ~Timer() { Unlink(); }

  bool armed() const { return next_ != nullptr; }
  Time due() const { return due_; }

 private:
  friend class TimerWheel;

  virtual void OnDue(Time now) = 0;

  void Unlink() {
    if (next_ == nullptr) return;
    next_->previous_ = previous_;
    previous_->next_ = next_;
    next_ = previous_ = nullptr;
  }
  void InsertBefore(Timer& other) {
    next_ = &other;
    previous_ = other.previous_;
    previous_->next_ = this;
    other.previous_ = this;
  }

  Timer* next_ = nullptr;
  Timer* previous_ = nullptr;
  Time due_;
};

// Timers by the millisecond, however many: arming, disarming and firing take constant time. A timer
// beyond one turn of the wheel stays for as many turns as it needs. Thread-compatible.
class TimerWheel {
 public:
  explicit TimerWheel(Time now) : tick_(TickOf(now)) {
    for (Head& head : slots_) head.next_ = head.previous_ = &head;
  }
  // Timers that are still armed do not outlive it.
  ~TimerWheel() {
    for (Head& head : slots_) {
      while (head.next_ != &head) head.next_->Unlink();
      head.next_ = head.previous_ = nullptr;
    }
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // `timer` is called once at `due`, within a millisecond after it.
  void Arm(Timer& timer, Time due) {
    timer.Unlink();
    timer.due_ = due;
    // What is overdue comes with the next Advance().
    const uint64_t tick = std::max(TickOf(due) + 1, tick_ + 1);
    timer.InsertBefore(slots_[tick % kSlots]);
  }
  static void Disarm(Timer& timer) { timer.Unlink(); }

  // Calls what is due. Callbacks may arm and disarm any timer.
  void Advance(Time now) {
    const uint64_t end = TickOf(now);
    // After a long pause once around is enough.
    const uint64_t begin = end - tick_ > kSlots ? end - kSlots : tick_;
    for (uint64_t tick = begin + 1; tick <= end; ++tick) {
      tick_ = tick;
      Fire(slots_[tick % kSlots], now);
    }
  }

  // When to call Advance() again, as far as the next `limit` is concerned.
  Time NextWithin(Time now, Duration limit) const {
    const uint64_t end = TickOf(now + limit);
    for (uint64_t tick = tick_ + 1; tick < end; ++tick) {
      const Head& head = slots_[tick % kSlots];
      if (head.next_ != &head) return Time(std::chrono::milliseconds(tick));
    }
    return now + limit;
  }

 private:
  static constexpr uint64_t kSlots = 4096;

  struct Head final : Timer {
    void OnDue(Time /*now*/) override {}
  };

  static uint64_t TickOf(Time time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  }

  void Fire(Head& head, Time now) {
    // Callbacks may arm others for this slot: those wait behind the last of now.
    Head due;
    due.next_ = due.previous_ = &due;
    for (Timer* timer = head.next_; timer != &head;) {
      Timer& candidate = *timer;
      timer = timer->next_;
      if (candidate.due_ > now) continue;  // of a later turn
      candidate.Unlink();
      candidate.InsertBefore(due);
    }
    while (due.next_ != &due) {
      Timer& timer = *due.next_;
      timer.Unlink();
      timer.OnDue(now);
    }
    due.next_ = due.previous_ = nullptr;
  }

  std::array<Head, kSlots> slots_;
  uint64_t tick_;  // all before and at this have fired
};

}  // namespace lb::health
