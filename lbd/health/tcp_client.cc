// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/tcp_client.h"

#include <algorithm>

namespace lb::health {
namespace {

// The farthest that an acknowledgement may lie behind and still be of this connection.
constexpr uint32_t kOldestAck = 65535;

int32_t Distance(uint32_t from, uint32_t to) { return static_cast<int32_t>(to - from); }

}  // namespace

void TcpClient::Connect(uint32_t isn, uint16_t mss) {
  state_ = State::kConnecting;
  syn_due_ = true;
  ack_due_ = false;
  mss_ = mss;
  peer_window_ = 0;
  first_unacknowledged_ = isn;
  receive_next_ = 0;
  unacknowledged_.clear();
  sent_ = 0;
  retransmissions_ = 0;
  timeout_ = kFirstTimeout;
  retransmit_at_.reset();
}

void TcpClient::Restart(Time now) {
  ++retransmissions_;
  timeout_ *= 2;
  retransmit_at_ = now + timeout_;
  syn_due_ = state_ == State::kConnecting;
  sent_ = 0;
}

TcpClient::Result TcpClient::OnSegment(const TcpHeader& header, Bytes payload) {
  switch (state_) {
    case State::kConnecting:
      return OnAnswer(header);
    case State::kOpen:
    case State::kEnded:
      return OnData(header, payload);
    case State::kClosed:
      break;
  }
  return {.rejected = true};
}

// Nobody but who has seen the SYN knows what to acknowledge.
TcpClient::Result TcpClient::OnAnswer(const TcpHeader& header) {
  if ((header.flags & kAck) == 0 || header.ack != first_unacknowledged_ + 1) {
    return {.rejected = true};
  }
  if ((header.flags & kRst) != 0) {
    state_ = State::kClosed;
    return {.refused = true};
  }
  if ((header.flags & kSyn) == 0) return {.rejected = true};
  state_ = State::kOpen;
  first_unacknowledged_ = header.ack;
  receive_next_ = header.seq + 1;
  peer_window_ = header.window;
  mss_ = std::min(mss_, header.mss != 0 ? header.mss : kDefaultMss);
  mss_ = std::max<uint16_t>(mss_, 64);  // an MSS of nothing would never end
  ack_due_ = true;
  timeout_ = kFirstTimeout;
  retransmit_at_.reset();
  return {.opened = true};
}

bool TcpClient::TakeAck(uint32_t ack) {
  const int32_t newly = Distance(first_unacknowledged_, ack);
  if (newly > static_cast<int64_t>(unacknowledged_.size()) ||
      newly < -static_cast<int64_t>(kOldestAck)) {
    return false;
  }
  if (newly <= 0) return true;
  unacknowledged_.erase(0, newly);
  first_unacknowledged_ = ack;
  sent_ -= std::min<uint32_t>(sent_, newly);
  timeout_ = kFirstTimeout;
  retransmit_at_.reset();
  return true;
}

TcpClient::Result TcpClient::OnData(const TcpHeader& header, Bytes payload) {
  if ((header.flags & kRst) != 0) {
    if (header.seq != receive_next_) return {.rejected = true};
    state_ = State::kClosed;
    return {.reset = true};
  }
  if ((header.flags & kSyn) != 0) {
    // The SYN-ACK again: our ACK was lost.
    if (header.seq + 1 != receive_next_) return {.rejected = true};
    ack_due_ = true;
    return {};
  }
  const int32_t early = Distance(receive_next_, header.seq);
  if ((header.flags & kAck) == 0 || early > kWindow || early < -static_cast<int64_t>(kOldestAck) ||
      !TakeAck(header.ack)) {
    return {.rejected = true};
  }
  peer_window_ = header.window;
  Result result;
  const bool fin = (header.flags & kFin) != 0;
  if (payload.empty() && !fin) return result;
  ack_due_ = true;
  if (early > 0 || state_ == State::kEnded) return result;
  const auto old = static_cast<size_t>(-static_cast<int64_t>(early));
  if (old > payload.size()) return result;
  result.data = payload.subspan(old);
  receive_next_ += result.data.size();
  if (fin) {
    ++receive_next_;
    state_ = State::kEnded;
    result.ended = true;
  }
  return result;
}

}  // namespace lb::health
