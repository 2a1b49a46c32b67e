// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/tcp_client.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lb::health {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t kIsn = 0xffffff00;  // so that sequence numbers wrap
constexpr uint32_t kPeer = 5000;
constexpr Time kNow{std::chrono::seconds(100)};

struct Sent {
  TcpHeader header;
  std::string payload;
};

class TcpClientTest : public ::testing::Test {
 protected:
  TcpClientTest() { client_.Connect(kIsn, 1400); }

  std::vector<Sent> Flush(Time now = kNow, size_t room = 100) {
    std::vector<Sent> sent;
    client_.Flush(now, [&](const TcpHeader& header, Bytes payload) {
      if (sent.size() == room) return false;
      sent.push_back({header, std::string(payload.begin(), payload.end())});
      return true;
    });
    return sent;
  }
  TcpClient::Result Receive(const TcpHeader& header, std::string_view payload = {}) {
    auto result = client_.OnSegment(
        header, Bytes(reinterpret_cast<const uint8_t*>(payload.data()), payload.size()));
    data_.append(result.data.begin(), result.data.end());
    return result;
  }
  TcpHeader Answer(uint8_t flags = kSyn | kAck) const {
    return {.seq = kPeer, .ack = kIsn + 1, .flags = flags, .window = 65535, .mss = 1000};
  }
  // A segment of the open connection, `offset` bytes into the stream.
  TcpHeader At(uint32_t offset, uint8_t flags = kAck, uint32_t acked = 0) const {
    return {.seq = kPeer + 1 + offset, .ack = kIsn + 1 + acked, .flags = flags, .window = 65535};
  }
  void Open() {
    Flush();
    ASSERT_TRUE(Receive(Answer()).opened);
  }

  TcpClient client_;
  std::string data_;
};

TEST_F(TcpClientTest, SendsItsSynOnce) {
  const auto sent = Flush();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].header.seq, kIsn);
  EXPECT_EQ(sent[0].header.flags, kSyn);
  EXPECT_EQ(sent[0].header.mss, 1400);
  EXPECT_TRUE(Flush().empty());
  EXPECT_EQ(client_.retransmit_at(), kNow + milliseconds(300));
}

TEST_F(TcpClientTest, SendsItsSynAgainLaterAndLater) {
  Flush();
  EXPECT_EQ(Flush(kNow + milliseconds(300)).size(), 1u);
  EXPECT_EQ(client_.retransmit_at(), kNow + milliseconds(900));
  EXPECT_TRUE(Flush(kNow + milliseconds(899)).empty());
  EXPECT_EQ(Flush(kNow + milliseconds(900)).size(), 1u);
  EXPECT_EQ(client_.retransmissions(), 2u);
}

TEST_F(TcpClientTest, WhatFindsNoRoomGoesLater) {
  EXPECT_TRUE(Flush(kNow, 0).empty());
  EXPECT_EQ(Flush().size(), 1u);
}

TEST_F(TcpClientTest, OpensByTheRightAnswerOnly) {
  Flush();
  TcpHeader forged = Answer();
  forged.ack = kIsn;
  EXPECT_TRUE(Receive(forged).rejected);
  EXPECT_TRUE(Receive(Answer(kAck)).rejected);
  EXPECT_TRUE(Receive(Answer(kSyn)).rejected) << "acknowledges nothing";
  TcpHeader reset = Answer(kRst | kAck);
  reset.ack = kIsn + 2;
  EXPECT_TRUE(Receive(reset).rejected);
  EXPECT_TRUE(Receive(Answer(kRst)).rejected);
  EXPECT_EQ(client_.state(), TcpClient::State::kConnecting);
  EXPECT_TRUE(Receive(Answer()).opened);
  EXPECT_EQ(client_.FinalReset().seq, kIsn + 1);
  EXPECT_EQ(client_.FinalReset().ack, kPeer + 1);
}

TEST_F(TcpClientTest, IsRefusedByARightReset) {
  Flush();
  EXPECT_TRUE(Receive(Answer(kRst | kAck)).refused);
}

TEST_F(TcpClientTest, TheRequestCarriesTheAck) {
  Open();
  client_.Send("GET /");
  const auto sent = Flush();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].payload, "GET /");
  EXPECT_EQ(sent[0].header.seq, kIsn + 1);
  EXPECT_EQ(sent[0].header.ack, kPeer + 1);
}

TEST_F(TcpClientTest, SegmentsAreNoLongerThanThePeerTakes) {
  Open();
  client_.Send(std::string(2500, 'x'));
  const auto sent = Flush();
  ASSERT_EQ(sent.size(), 3u);
  EXPECT_EQ(sent[0].payload.size(), 1000u);
  EXPECT_EQ(sent[2].payload.size(), 500u);
  EXPECT_EQ(sent[2].header.seq, kIsn + 2001);
}

TEST_F(TcpClientTest, TheWindowOfThePeerHolds) {
  Flush();
  TcpHeader answer = Answer();
  answer.window = 300;
  Receive(answer);
  client_.Send(std::string(1000, 'x'));
  ASSERT_EQ(Flush().size(), 1u);
  TcpHeader ack = At(0, kAck, 300);
  ack.window = 500;
  Receive(ack);
  const auto sent = Flush();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].payload.size(), 500u);
  EXPECT_EQ(sent[0].header.seq, kIsn + 301);
}

TEST_F(TcpClientTest, WhatIsNotAcknowledgedGoesAgain) {
  Open();
  client_.Send(std::string(1500, 'x'));
  Flush();
  Receive(At(0, kAck, 1000));
  EXPECT_TRUE(Flush().empty());
  const auto again = Flush(kNow + milliseconds(300));
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].header.seq, kIsn + 1001);
  EXPECT_EQ(again[0].payload.size(), 500u);
  Receive(At(0, kAck, 1500));
  EXPECT_FALSE(client_.retransmit_at());
}

TEST_F(TcpClientTest, TakesDataInOrder) {
  Open();
  Receive(At(0), "Hello, ");
  Receive(At(7), "world");
  EXPECT_EQ(data_, "Hello, world");
  const auto sent = Flush();
  ASSERT_EQ(sent.size(), 1u) << "one ACK for both";
  EXPECT_EQ(sent[0].header.ack, kPeer + 1 + 12);
}

TEST_F(TcpClientTest, WhatComesTooEarlyIsAskedForAgain) {
  Open();
  EXPECT_FALSE(Receive(At(7), "world").rejected);
  EXPECT_EQ(data_, "");
  ASSERT_EQ(Flush().size(), 1u);
  Receive(At(0), "Hello, ");
  Receive(At(7), "world");
  EXPECT_EQ(data_, "Hello, world");
}

TEST_F(TcpClientTest, OverlapsAreTakenOnce) {
  Open();
  Receive(At(0), "abcd");
  Receive(At(2), "cdEF");
  Receive(At(0), "XX");
  EXPECT_EQ(data_, "abcdEF");
}

TEST_F(TcpClientTest, EndsByFinBehindAllData) {
  Open();
  EXPECT_FALSE(Receive(At(3, kAck | kFin)).ended) << "three bytes are missing";
  const auto result = Receive(At(0, kAck | kFin), "abc");
  EXPECT_TRUE(result.ended);
  EXPECT_EQ(data_, "abc");
  ASSERT_EQ(Flush().size(), 1u);
  EXPECT_EQ(client_.FinalReset().ack, kPeer + 1 + 4);
  EXPECT_FALSE(Receive(At(0, kAck | kFin), "abc").ended) << "only once";
}

TEST_F(TcpClientTest, IsResetByTheNextByteOnly) {
  Open();
  EXPECT_TRUE(Receive(At(1, kRst)).rejected);
  EXPECT_TRUE(Receive(At(0, kRst)).reset);
}

TEST_F(TcpClientTest, StrayNumbersAreRejected) {
  Open();
  EXPECT_TRUE(Receive(At(0, kAck, 1), "x").rejected) << "acknowledges what was not sent";
  EXPECT_TRUE(Receive(At(1 << 20), "x").rejected) << "beyond the window";
  EXPECT_TRUE(Receive(At(0, 0), "x").rejected) << "no ACK";
  EXPECT_TRUE(Receive(At(5, kSyn | kAck)).rejected);
  EXPECT_EQ(data_, "");
}

TEST_F(TcpClientTest, ARepeatedAnswerIsAcknowledgedAgain) {
  Open();
  Flush();
  EXPECT_FALSE(Receive(Answer()).rejected);
  EXPECT_EQ(Flush().size(), 1u);
}

}  // namespace
}  // namespace lb::health
