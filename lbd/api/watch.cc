// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "lbd/api/convert.h"

namespace lb::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long a cancelled stream may go unnoticed.
constexpr milliseconds kGlance{200};
constexpr size_t kBatch = 256;
constexpr uint32_t kMinInterval = 100;
constexpr uint32_t kMaxInterval = 3'600'000;
constexpr uint32_t kDefaultInterval = 1000;

}  // namespace

// One of the kMaxStreams places, while it lives.
class Watches::Place {
 public:
  explicit Place(std::atomic<int>& streams)
      : streams_(streams), taken_(streams.fetch_add(1) < kMaxStreams) {}
  ~Place() { --streams_; }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  grpc::Status status() const {
    if (taken_) return grpc::Status::OK;
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            fmt::format("{} streams are open, which is all that there may be", kMaxStreams)};
  }

 private:
  std::atomic<int>& streams_;
  bool taken_;
};

grpc::Status Watches::Events(grpc::ServerContext& context, const v1::WatchEventsRequest& request,
                             grpc::ServerWriter<v1::WatchEventsResponse>& writer) {
  const Place place(streams_);
  if (!place.status().ok()) return place.status();
  const events::EventHub& hub = controller_.events();
  uint64_t next = request.has_from_sequence() ? request.from_sequence() : hub.next_sequence();
  const bool all_there_is = request.has_from_sequence() && next == 0;
  // Answers at once, so that the client knows that nothing from now on escapes it.
  v1::WatchEventsResponse hello;
  hello.set_next_sequence(next);
  bool told = hub.Read(next, 1, milliseconds(0)).events.empty();
  hello.set_caught_up(told);
  if (!writer.Write(hello)) return grpc::Status::OK;
  while (!context.IsCancelled()) {
    const auto batch = hub.Read(next, kBatch, kGlance);
    if (hub.stopped()) return {grpc::StatusCode::UNAVAILABLE, "lbd is stopping"};
    if (batch.events.empty()) continue;
    next = batch.events.back().sequence + 1;
    v1::WatchEventsResponse response;
    response.set_missed(batch.missed);
    response.set_restarted(batch.restarted && !all_there_is);
    response.set_next_sequence(next);
    for (const events::Event& event : batch.events) {
      v1::Event proto = ToProto(event);
      const bool wanted = request.kinds().empty() ||
                          std::ranges::find(request.kinds(), proto.kind()) != request.kinds().end();
      if (wanted) *response.add_events() = std::move(proto);
    }
    response.set_caught_up(next == hub.next_sequence());
    const bool news = response.events_size() > 0 || response.missed() > 0 || response.restarted() ||
                      (response.caught_up() && !told);
    told |= response.caught_up();
    if (news && !writer.Write(response)) break;
  }
  return grpc::Status::OK;
}

grpc::Status Watches::Stats(grpc::ServerContext& context, const v1::WatchStatsRequest& request,
                            grpc::ServerWriter<v1::WatchStatsResponse>& writer) {
  const uint32_t asked =
      request.has_interval_milliseconds() ? request.interval_milliseconds() : kDefaultInterval;
  if (asked < kMinInterval || asked > kMaxInterval) {
    return {grpc::StatusCode::INVALID_ARGUMENT,
            fmt::format("interval_milliseconds: must be {}..{}, got {}", kMinInterval, kMaxInterval,
                        asked)};
  }
  const Place place(streams_);
  if (!place.status().ok()) return place.status();
  const milliseconds interval(asked);
  auto due = steady_clock::now();
  uint64_t missed = 0;
  while (!context.IsCancelled()) {
    const auto left = due - steady_clock::now();
    if (left > left.zero()) {
      std::this_thread::sleep_for(std::min<steady_clock::duration>(left, kGlance));
      if (controller_.events().stopped()) return {grpc::StatusCode::UNAVAILABLE, "lbd is stopping"};
      continue;
    }
    v1::WatchStatsResponse response;
    *response.mutable_time() = TimeToProto(std::chrono::system_clock::now());
    *response.mutable_stats() = ToProto(controller_.ReadStats(), controller_.snapshot()->config);
    response.set_missed(missed);
    if (!writer.Write(response)) break;
    due += interval;
    const auto late = steady_clock::now() - due;
    missed = late > late.zero() ? late / interval : 0;
    due += interval * missed;
  }
  return grpc::Status::OK;
}

}  // namespace lb::api
