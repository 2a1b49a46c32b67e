// SPDX-License-Identifier: Apache-2.0
#include "lbd/events/event_hub.h"

#include <algorithm>
#include <utility>

namespace lb::events {

using std::chrono::system_clock;

EventHub::EventHub(uint64_t first, size_t capacity)
    : first_(first), capacity_(capacity), next_(first) {}

uint64_t EventHub::FirstSequence() {
  const auto now = system_clock::now().time_since_epoch();
  const uint64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  return (seconds << 20) + 1;
}

void EventHub::Publish(Event event) {
  {
    const std::lock_guard lock(mutex_);
    event.sequence = next_++;
    event.time = system_clock::now();
    events_.push_back(std::move(event));
    if (events_.size() > capacity_) events_.pop_front();
  }
  changed_.notify_all();
}

uint64_t EventHub::next_sequence() const {
  const std::lock_guard lock(mutex_);
  return next_;
}

EventHub::Batch EventHub::Read(uint64_t from, size_t max,
                               std::chrono::milliseconds patience) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return stopped_ || from < next_; });
  Batch batch;
  if (stopped_ || from >= next_) return batch;
  batch.restarted = from < first_;
  const uint64_t oldest = next_ - events_.size();
  const uint64_t wanted = std::max(from, first_);
  const uint64_t begin = std::max(wanted, oldest);
  batch.missed = begin - wanted;
  const auto it = events_.begin() + static_cast<ptrdiff_t>(begin - oldest);
  const auto count = std::min<size_t>(max, events_.end() - it);
  batch.events.assign(it, it + static_cast<ptrdiff_t>(count));
  return batch;
}

bool EventHub::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

void EventHub::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

}  // namespace lb::events
