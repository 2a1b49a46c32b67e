// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/diagnose.h"

#include <absl/cleanup/cleanup.h>
#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "lbd/api/convert.h"
#include "lbd/api/explain.h"
#include "lbd/dataplane/capture.h"

namespace lb::api {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kGlance{50};
constexpr int kDefaultSeconds = 60;
// Packets per message: with frames of 2 KiB below gRPC's 4 MiB.
constexpr int kBatch = 1000;

// What to add to CLOCK_MONOTONIC for Unix time.
uint64_t UnixOffset() {
  timespec wall{};
  timespec monotonic{};
  clock_gettime(CLOCK_REALTIME, &wall);
  clock_gettime(CLOCK_MONOTONIC, &monotonic);
  return static_cast<uint64_t>(wall.tv_sec - monotonic.tv_sec) * 1'000'000'000 + wall.tv_nsec -
         monotonic.tv_nsec;
}

v1::CapturedPacket PacketToProto(const dataplane::Decision& decision,
                                 const control::Snapshot& snapshot) {
  v1::CapturedPacket packet;
  packet.set_time_nanos(decision.nanos + UnixOffset());
  *packet.mutable_decision() = ToProto(decision, snapshot.config);
  packet.set_generation(snapshot.generation);
  packet.set_frame(decision.frame.data(), decision.frame.size());
  packet.set_frame_length(decision.frame_length);
  packet.set_outgoing(decision.outgoing);
  return packet;
}

}  // namespace

StatusOr<v1::ExplainFlowResponse> ExplainFlow(control::Controller& controller,
                                              const v1::ExplainFlowRequest& request) {
  LB_ASSIGN_OR_RETURN(const dataplane::Frame frame, FrameFromProto(request));
  std::optional<model::Change> pending;
  if (request.has_pending()) {
    v1::ApplyConfigRequest apply;
    *apply.mutable_config() = request.pending();
    LB_ASSIGN_OR_RETURN(pending, ChangeFromProto(apply));
  }
  LB_ASSIGN_OR_RETURN(const control::Explained explained, controller.Explain(frame, pending));
  const control::HealthReport health =
      controller.Health({.detail = explained.explanation.decision.vip ? health::Detail::kChecks
                                                                      : health::Detail::kTotals,
                         .vip = explained.explanation.decision.vip});
  v1::ExplainFlowResponse response =
      ToProto(explained.explanation, explained.config, controller.Report(), health);
  response.set_generation(explained.generation);
  return response;
}

Status Capture(control::Controller& controller, const v1::CaptureRequest& request,
               const std::function<bool(const v1::CaptureResponse&)>& send) {
  LB_ASSIGN_OR_RETURN(const dataplane::CaptureFilter filter, FilterFromProto(request));
  LB_ASSIGN_OR_RETURN(const auto reader, controller.StartCapture(filter));
  const absl::Cleanup stop = [&] { controller.StopCapture(); };
  const auto end =
      steady_clock::now() +
      std::chrono::seconds(request.seconds() != 0 ? request.seconds() : kDefaultSeconds);
  uint64_t left = request.count() != 0 ? request.count() : UINT64_MAX;
  v1::CaptureResponse response;
  const auto flush = [&] {
    response.set_limited(reader->limited());
    response.set_lost(reader->lost());
    const bool go_on = send(response);
    response.Clear();
    return go_on;
  };
  if (!flush()) return OkStatus();
  while (true) {
    const auto snapshot = controller.snapshot();
    bool go_on = true;
    LB_RETURN_IF_ERROR(reader->Drain([&](const dataplane::Decision& decision) {
      if (left == 0 || !go_on) return;
      --left;
      *response.add_packets() = PacketToProto(decision, *snapshot);
      if (response.packets_size() >= kBatch) go_on = flush();
    }));
    if (!go_on || !flush() || left == 0 || steady_clock::now() >= end) return OkStatus();
    if (reader->ended()) {
      return Unavailable("the settings changed, and another program forwards; start again");
    }
    std::this_thread::sleep_for(kGlance);
  }
}

}  // namespace lb::api
