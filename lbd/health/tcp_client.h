// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lbd/health/frame.h"
#include "lbd/health/time.h"

namespace lb::health {

// The client's end of one short TCP connection (RFC 9293): no window scaling, no delayed ACKs, no
// TIME_WAIT; whoever uses it ends it by a RST. Segments out of order are answered at once and come
// again. It takes the other end for an enemy: what does not fit the connection changes nothing.
// Thread-compatible.
class TcpClient {
 public:
  enum class State : uint8_t { kClosed, kConnecting, kOpen, kEnded };

  // What a segment did.
  struct Result {
    bool rejected = false;  // does not belong to this connection
    bool opened = false;    // the connection is up
    bool refused = false;   // RST in answer to the SYN
    bool reset = false;     // RST later
    bool ended = false;     // all data came, nothing will follow
    Bytes data;             // what came in order; a view into the segment
  };

  // Starts from nothing; `mss` is the longest segment that may be sent and received.
  void Connect(uint32_t isn, uint16_t mss);
  void Close() { state_ = State::kClosed; }

  Result OnSegment(const TcpHeader& header, Bytes payload);
  // To be sent, as fast as the other end takes it.
  void Send(std::string_view bytes) { unacknowledged_ += bytes; }

  // Calls `send(header, payload)` for all that is to be sent now. False from it: no room, later.
  // Returns false then.
  template <typename Sender>
  bool Flush(Time now, Sender send);
  // When to call Flush() again, though nothing has arrived; empty: never.
  std::optional<Time> retransmit_at() const { return retransmit_at_; }

  State state() const { return state_; }
  // The RST that ends the connection for the other end.
  TcpHeader FinalReset() const {
    return {.seq = next_seq(), .ack = receive_next_, .flags = kRst | kAck};
  }
  uint32_t retransmissions() const { return retransmissions_; }

 private:
  static constexpr uint16_t kWindow = 16384;
  static constexpr uint16_t kDefaultMss = 536;  // RFC 9293, 3.7.1
  static constexpr Duration kFirstTimeout = std::chrono::milliseconds(300);

  Result OnAnswer(const TcpHeader& header);
  Result OnData(const TcpHeader& header, Bytes payload);
  bool TakeAck(uint32_t ack);
  void Restart(Time now);

  uint32_t next_seq() const {
    return first_unacknowledged_ + (state_ == State::kConnecting ? 1 : sent_);
  }

  State state_ = State::kClosed;
  bool syn_due_ = false;
  bool ack_due_ = false;
  uint16_t mss_ = 0;
  uint16_t peer_window_ = 0;
  uint32_t first_unacknowledged_ = 0;
  uint32_t receive_next_ = 0;
  std::string unacknowledged_;  // from first_unacknowledged_ on
  uint32_t sent_ = 0;           // of these
  uint32_t retransmissions_ = 0;
  Duration timeout_ = kFirstTimeout;
  std::optional<Time> retransmit_at_;
};

template <typename Sender>
bool TcpClient::Flush(Time now, Sender send) {
  if (state_ == State::kClosed) return true;
  if (retransmit_at_ && now >= *retransmit_at_) Restart(now);
  if (state_ == State::kConnecting) {
    if (!syn_due_) return true;
    const TcpHeader syn{
        .seq = first_unacknowledged_, .flags = kSyn, .window = kWindow, .mss = mss_};
    if (!send(syn, Bytes())) return false;
    syn_due_ = false;
    retransmit_at_ = now + timeout_;
    return true;
  }
  while (sent_ < unacknowledged_.size() && sent_ < peer_window_) {
    const size_t size = std::min<size_t>(
        {unacknowledged_.size() - sent_, mss_, static_cast<size_t>(peer_window_ - sent_)});
    const TcpHeader header{
        .seq = next_seq(), .ack = receive_next_, .flags = kAck | kPush, .window = kWindow};
    const auto* bytes = reinterpret_cast<const uint8_t*>(unacknowledged_.data()) + sent_;
    if (!send(header, Bytes(bytes, size))) return false;
    sent_ += size;
    ack_due_ = false;
  }
  if (sent_ > 0 && !retransmit_at_) retransmit_at_ = now + timeout_;
  if (ack_due_) {
    const TcpHeader header{
        .seq = next_seq(), .ack = receive_next_, .flags = kAck, .window = kWindow};
    if (!send(header, Bytes())) return false;
    ack_due_ = false;
  }
  return true;
}

}  // namespace lb::health
