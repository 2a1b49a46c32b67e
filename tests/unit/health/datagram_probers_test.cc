// SPDX-License-Identifier: Apache-2.0
// The checks by one datagram: bytes out, bytes in, result.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lbd/health/dns_prober.h"
#include "lbd/health/icmp_prober.h"
#include "lbd/health/quic_prober.h"
#include "lbd/health/udp_prober.h"

namespace lb::health {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr uint64_t kCookie = 0x0123456789abcdef;

std::optional<Outcome> Judge(const DatagramProber& prober, std::string_view reply) {
  return prober.Judge({reinterpret_cast<const uint8_t*>(reply.data()), reply.size()}, kCookie);
}

TEST(IcmpProberTest, OnlyItsOwnCookieCountsAsAnAnswer) {
  const IcmpProber prober;
  const std::string request = prober.Request(kCookie);
  EXPECT_EQ(request.size(), 8u);
  EXPECT_EQ(Judge(prober, request), Outcome::Ok());
  EXPECT_EQ(Judge(prober, "01234567"), std::nullopt);
  EXPECT_EQ(Judge(prober, request + "x"), std::nullopt);
}

TEST(UdpProberTest, TheAnswerContainsWhatIsExpected) {
  const UdpProber prober({.send = "ping", .expect = "pong"});
  EXPECT_EQ(prober.Request(kCookie), "ping");
  EXPECT_EQ(Judge(prober, "a pong!"), Outcome::Ok());
  EXPECT_EQ(Judge(prober, "ping")->reason, "\"pong\" is not in the answer of 4 bytes");
  EXPECT_EQ(Judge(UdpProber({.send = "x"}), ""), Outcome::Ok());
}

TEST(DnsProberTest, AsksByAQueryOfRfc1035) {
  const DnsProber prober({.name = "www.test", .type = model::DnsType::kAaaa});
  EXPECT_EQ(prober.Request(kCookie), "\xcd\xef\1\0\0\1\0\0\0\0\0\0\3www\4test\0\0\x1c\0\1"sv);
  EXPECT_EQ(DnsProber({.name = "."}).Request(kCookie).substr(12), "\0\0\1\0\1"sv);
}

// An answer to www.test A, with this code and these records.
std::string Answer(char code, uint8_t count, std::string_view records) {
  std::string answer = "\xcd\xef\x81"s + code;
  answer += "\0\1\0"sv;
  answer += static_cast<char>(count);
  answer += "\0\0\0\0\3wWw\4test\0\0\1\0\1"sv;
  return answer.append(records);
}

TEST(DnsProberTest, CodeAndAddressDecide) {
  constexpr std::string_view kCname = "\xc0\x0c\0\5\0\1\0\0\0\7\0\2\xc0\x0c"sv;
  constexpr std::string_view kA = "\xc0\x0c\0\1\0\1\0\0\0\7\0\4\xc0\0\2\7"sv;
  const std::string both = std::string(kCname) + std::string(kA);
  const DnsProber any({.name = "www.test"});
  EXPECT_EQ(Judge(any, Answer(0, 0, "")), Outcome::Ok());
  EXPECT_EQ(Judge(any, Answer(3, 0, ""))->reason, "got NXDOMAIN, want NOERROR");
  const DnsProber one({.name = "www.test", .answer = "192.0.2.7"});
  EXPECT_EQ(Judge(one, Answer(0, 2, both)), Outcome::Ok());
  const DnsProber other({.name = "www.test", .answer = "192.0.2.8"});
  EXPECT_EQ(Judge(other, Answer(0, 2, both))->reason, "192.0.2.8 is not in the answer [192.0.2.7]");
}

TEST(DnsProberTest, StrangersAndMalformedAnswers) {
  const DnsProber prober({.name = "www.test", .answer = "192.0.2.7"});
  std::string other = Answer(0, 0, "");
  other[0] ^= 1;
  EXPECT_EQ(Judge(prober, other), std::nullopt) << "another id";
  EXPECT_EQ(Judge(prober, prober.Request(kCookie)), std::nullopt) << "a query";
  std::string name = Answer(0, 0, "");
  name[14] = 'x';
  EXPECT_EQ(Judge(prober, name), std::nullopt) << "another question";
  constexpr std::string_view kA = "\xc0\x0c\0\1\0\1\0\0\0\7\0\4\xc0\0\2\7"sv;
  for (size_t size = 0; size < kA.size(); ++size) {
    const auto outcome = Judge(prober, Answer(0, 1, kA.substr(0, size)));
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->reason, "the answer is malformed") << size;
  }
  EXPECT_EQ(Judge(prober, Answer(0, 1, "\xc0\x0c\0\1\0\1\0\0\0\7\0\3\1\2\3"sv))->failure,
            Failure::kProtocol);
  const std::string full = Answer(0, 1, kA);
  for (size_t size = 0; size < 26; ++size)
    EXPECT_EQ(Judge(prober, full.substr(0, size)), std::nullopt);
}

TEST(QuicProberTest, NegotiationWithItsIdsIsAnAnswer) {
  const QuicProber prober;
  const std::string request = prober.Request(kCookie);
  ASSERT_EQ(request.size(), 1200u);
  EXPECT_EQ(request.substr(1, 4), "\x1a\x2a\x3a\x4a");
  const std::string destination = request.substr(6, 8);
  const std::string source = request.substr(15, 8);
  const auto reply = [&](const std::string& to, const std::string& from,
                         std::string_view versions) {
    return "\xc0\0\0\0\0\x08"s.append(to).append("\x08").append(from).append(versions);
  };
  EXPECT_EQ(Judge(prober, reply(source, destination, "\0\0\0\1"sv)), Outcome::Ok());
  EXPECT_EQ(Judge(prober, reply(destination, source, "\0\0\0\1"sv)), std::nullopt);
  EXPECT_EQ(Judge(prober, reply(source, destination, ""))->failure, Failure::kProtocol);
  EXPECT_EQ(Judge(prober, request), std::nullopt);
}

}  // namespace
}  // namespace lb::health
