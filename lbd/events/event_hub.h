// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "lbd/events/event.h"

namespace lb::events {

// The latest events, for any number of readers that each keep their own place: a slow reader costs
// no memory and delays nobody, it is told how many it missed. Thread-safe.
class EventHub {
 public:
  static constexpr size_t kCapacity = 4096;

  // The first event gets the sequence number `first`.
  explicit EventHub(uint64_t first = FirstSequence(), size_t capacity = kCapacity);

  // Larger than that of any event of an lbd that was started in an earlier second, unless that had
  // a million events a second.
  static uint64_t FirstSequence();

  void Publish(Event event);

  // The number that the next event gets.
  uint64_t next_sequence() const;

  struct Batch {
    std::vector<Event> events;  // from the sequence asked for on, or the oldest that is left
    uint64_t missed = 0;        // events of this lbd between the two
    bool restarted = false;     // the sequence asked for is of an lbd before this one
  };
  // At most `max` events. Waits for one for `patience`, or until Stop(); then the batch is empty.
  Batch Read(uint64_t from, size_t max, std::chrono::milliseconds patience) const;

  // Ends all waiting, now and later.
  void Stop();
  bool stopped() const;

 private:
  const uint64_t first_;
  const size_t capacity_;
  mutable std::mutex mutex_;  // std: a condition variable waits on it
  mutable std::condition_variable changed_;
  std::deque<Event> events_;
  uint64_t next_;
  bool stopped_ = false;
};

}  // namespace lb::events
