// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/http_prober.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb::health {
namespace {

using ::testing::HasSubstr;

const model::VipKey kVip = *model::VipKey::Parse("192.0.2.1:80/tcp");

Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string RequestOf(const model::HttpCheck& check, const model::VipKey& vip = kVip,
                      uint16_t port = 80) {
  const HttpProber prober(check, vip, port);
  std::string out;
  EXPECT_FALSE(prober.Start()->OnOpen(out));
  return out;
}

// The outcome of `answer`, which comes in pieces of `piece` bytes and then ends.
Outcome Probe(const model::HttpCheck& check, std::string_view answer, size_t piece = 1 << 20) {
  const HttpProber prober(check, kVip, 80);
  const auto attempt = prober.Start();
  std::string out;
  attempt->OnOpen(out);
  for (size_t at = 0; at < answer.size(); at += piece) {
    if (auto outcome = attempt->OnData(AsBytes(answer.substr(at, piece)), out)) return *outcome;
  }
  return attempt->OnEnd();
}

TEST(HttpProberTest, AsksForThePathOfTheVip) {
  EXPECT_EQ(RequestOf({}),
            "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\nUser-Agent: lbd\r\nConnection: close\r\n\r\n");
  const auto vip6 = *model::VipKey::Parse("[2001:db8::1]:8080/tcp");
  EXPECT_THAT(RequestOf({.method = "HEAD", .path = "/ok"}, vip6, 8080),
              HasSubstr("HEAD /ok HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n"));
  EXPECT_THAT(RequestOf({.host = "www.example.com", .headers = {{"X-Probe", "1"}}}),
              HasSubstr("Host: www.example.com\r\nUser-Agent: lbd\r\nX-Probe: 1\r\n"));
}

TEST(HttpProberTest, TheStatusDecidesHoweverItComes) {
  for (const size_t piece : {1u, 3u, 1000u}) {
    EXPECT_EQ(Probe({}, "HTTP/1.1 204 No Content\r\n\r\n", piece), Outcome::Ok());
    const Outcome bad = Probe({}, "HTTP/1.1 503 Service Unavailable\r\n\r\n", piece);
    EXPECT_EQ(bad.failure, Failure::kStatus);
    EXPECT_EQ(bad.reason, "got 503, want 200-299");
  }
  const model::HttpCheck check{.statuses = {{200, 200}, {401, 403}}};
  EXPECT_TRUE(Probe(check, "HTTP/1.0 402 x\r\n\r\n").ok());
  EXPECT_EQ(Probe(check, "HTTP/1.1 201 x\r\n\r\n").reason, "got 201, want 200,401-403");
}

TEST(HttpProberTest, AnythingElseIsNoAnswer) {
  EXPECT_EQ(Probe({}, "SSH-2.0-OpenSSH_9.2\r\n").failure, Failure::kProtocol);
  EXPECT_EQ(Probe({}, "HTTP/1.1 2x0 OK\r\n\r\n").failure, Failure::kProtocol);
  EXPECT_EQ(Probe({}, "HTTP/1").reason, "connection closed after \"HTTP/1\"");
  EXPECT_EQ(Probe({}, "").reason, "connection closed without an answer");
}

TEST(HttpProberTest, TheBodyMustContainTheText) {
  const model::HttpCheck check{.body = "all good"};
  constexpr std::string_view kHead = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
  for (const size_t piece : {1u, 7u, 1000u}) {
    EXPECT_TRUE(Probe(check, std::string(kHead) + "all good now", piece).ok());
    const Outcome bad = Probe(check, std::string(kHead) + "all bad now.", piece);
    EXPECT_EQ(bad.failure, Failure::kBody);
    EXPECT_THAT(bad.reason,
                HasSubstr("\"all good\" is not in the body, which begins with \"all bad"));
  }
  EXPECT_EQ(Probe(check, "HTTP/1.1 200 OK\r\nX: all good\r\n\r\n").failure, Failure::kBody)
      << "a header is no body";
}

TEST(HttpProberTest, ChunksAreJoined) {
  constexpr std::string_view kAnswer =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n4\r\ngood\r\n0\r\n\r\n";
  EXPECT_TRUE(Probe({.body = "all good"}, kAnswer, 5).ok());
  EXPECT_TRUE(Probe({.body_regex = "^all.good$"}, kAnswer).ok());
  EXPECT_EQ(Probe({.body_regex = "^good"}, kAnswer).failure, Failure::kBody);
  EXPECT_EQ(Probe({.body = "x"},
                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx")
                .failure,
            Failure::kNone)
      << "a length that lies is cut";
}

TEST(HttpProberTest, EndlessAnswersEnd) {
  const HttpProber prober({.body = "needle"}, kVip, 80);
  const auto attempt = prober.Start();
  std::string out;
  attempt->OnData(AsBytes("HTTP/1.1 200 OK\r\n\r\n"), out);
  const std::string piece(1000, 'x');
  int pieces = 0;
  std::optional<Outcome> outcome;
  while (!outcome && pieces < 1000) {
    outcome = attempt->OnData(AsBytes(piece), out);
    ++pieces;
  }
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->failure, Failure::kBody);
  EXPECT_EQ(pieces, 66);
}

}  // namespace
}  // namespace lb::health
