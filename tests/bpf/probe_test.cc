// SPDX-License-Identifier: Apache-2.0
// Which packets are taken for answers to health probes, and that the host keeps all others.
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>

#include "lb/abi.h"
#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/explainer.h"
#include "lbd/dataplane/forwarder.h"
#include "lbd/dataplane/probe_path.h"
#include "tests/support/packet_builder.h"
#include "tests/support/prog_run.h"

namespace lb::testing {
namespace {

constexpr uint16_t kFirst = 61000;
constexpr uint16_t kLast = 61999;

std::string AsText(const Bytes& frame) { return {frame.begin() + 14, frame.end()}; }

class ProbeTest : public ::testing::Test {
 protected:
  ProbeTest()
      : path_(dataplane::ProbePath::Create().value()), socket_(socket(AF_XDP, SOCK_RAW, 0)) {
    forwarder_ = dataplane::Forwarder::Create({}, LB_FEATURE_PROBES, 0,
                                              dataplane::Forwarder::MonotonicSeconds, path_.get())
                     .value();
    path_->SetOrigin({kHost4, kHost6, kFirst, kLast});
    EXPECT_TRUE(path_->AddInterface(kIngressInterface, 1).ok());
    EXPECT_TRUE(path_->SetSocket(0, socket_.get()).ok());
  }

  // Whether the frame is handed over. It is not changed in any case, and it is counted; what is
  // handed over has its time of arrival in front.
  bool Taken(const Bytes& frame) {
    const auto before = forwarder_->ReadVerdicts();
    const auto run = RunProgram(*forwarder_, frame);
    EXPECT_TRUE(run.ok()) << run.status();
    const auto after = forwarder_->ReadVerdicts();
    const bool taken = run->action == XDP_REDIRECT;
    Bytes out = run->out;
    if (taken && out.size() > sizeof(lb_probe_metadata)) {
      lb_probe_metadata metadata;
      std::memcpy(&metadata, out.data(), sizeof(metadata));
      const std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
      EXPECT_LE(metadata.received_ns, static_cast<uint64_t>(now.count()));
      EXPECT_GT(metadata.received_ns + 10'000'000'000, static_cast<uint64_t>(now.count()));
      out.erase(out.begin(), out.begin() + sizeof(metadata));
    }
    EXPECT_TRUE(SameBytes(frame, out));
    EXPECT_EQ(run->action, taken ? XDP_REDIRECT : XDP_PASS);
    EXPECT_EQ(after[LB_PROBE_REPLY] - before[LB_PROBE_REPLY], taken ? 1u : 0u);
    return taken;
  }
  static Bytes FromVip(const IpAddress& host, const Segment& segment) {
    return Ethernet({}, Ip({.source = host.is_v4() ? kVip4 : kVip6, .destination = host}, segment));
  }

  std::unique_ptr<dataplane::ProbePath> path_;
  UniqueFd socket_;
  std::unique_ptr<dataplane::Forwarder> forwarder_;
};

TEST_F(ProbeTest, TcpAndUdpToThePortsOfProbes) {
  for (const IpAddress& host : {kHost4, kHost6}) {
    for (const uint16_t port : {kFirst, static_cast<uint16_t>(kFirst + 500), kLast}) {
      EXPECT_TRUE(Taken(FromVip(host, Tcp({.source = 80, .destination = port}))));
      EXPECT_TRUE(Taken(FromVip(host, Udp({.source = 53, .destination = port}))));
    }
    for (const uint16_t port : {22, kFirst - 1, kLast + 1}) {
      EXPECT_FALSE(Taken(FromVip(host, Tcp({.source = 80, .destination = port}))));
      EXPECT_FALSE(Taken(FromVip(host, Udp({.source = 53, .destination = port}))));
    }
  }
}

TEST_F(ProbeTest, OtherAddressesAreTheHosts) {
  const Segment reply = Tcp({.source = 80, .destination = kFirst});
  EXPECT_FALSE(Taken(Ethernet({}, Ip({.source = kVip4, .destination = kVip4}, reply))));
  EXPECT_FALSE(Taken(Ethernet({}, Ip({.source = kVip6, .destination = kVip6}, reply))));
}

TEST_F(ProbeTest, EchoRepliesOfOurs) {
  const IcmpHeader ours{.type = 0, .id = kFirst, .sequence = LB_PROBE_ECHO_SEQUENCE};
  EXPECT_TRUE(Taken(FromVip(kHost4, Icmp(ours))));
  IcmpHeader ours6 = ours;
  ours6.type = kEchoReply6;
  EXPECT_TRUE(Taken(FromVip(kHost6, Icmp6(ours6))));
  IcmpHeader other = ours;
  other.sequence = 1;
  EXPECT_FALSE(Taken(FromVip(kHost4, Icmp(other)))) << "of a ping by hand";
  other = ours;
  other.id = 4711;
  EXPECT_FALSE(Taken(FromVip(kHost4, Icmp(other))));
  other = ours;
  other.type = 8;
  EXPECT_FALSE(Taken(FromVip(kHost4, Icmp(other)))) << "a request";
}

TEST_F(ProbeTest, NeighbourDiscoveryIsTheHosts) {
  for (const uint8_t type : {133, 134, 135, 136, 137, 128, 0}) {
    EXPECT_FALSE(Taken(FromVip(kHost6, Icmp6({.type = type, .id = kFirst})))) << int{type};
  }
}

TEST_F(ProbeTest, ErrorsThatQuoteAProbe) {
  const Segment probe = Tcp({.source = kFirst, .destination = 80});
  const Segment connection = Tcp({.source = 40000, .destination = 80});
  const auto quote4 = [&](const Segment& packet) {
    return AsText(Ethernet({}, Ip({.source = kHost4, .destination = kVip4}, packet)));
  };
  const auto error4 = [&](uint8_t type, const std::string& quoted) {
    return FromVip(kHost4, Icmp({.type = type, .code = 1, .id = 0, .sequence = 0}, quoted));
  };
  for (const uint8_t type : {3, 11}) {
    EXPECT_TRUE(Taken(error4(type, quote4(probe))));
    EXPECT_FALSE(Taken(error4(type, quote4(connection)))) << "of the host's own";
    EXPECT_TRUE(Taken(error4(type, quote4(Opaque(4, "a tunnelled packet")))));
    EXPECT_TRUE(Taken(error4(type, quote4(Opaque(47, "a tunnelled packet")))));
    EXPECT_TRUE(Taken(error4(type, quote4(Udp({.destination = 6080}, "a tunnelled packet")))));
    EXPECT_FALSE(Taken(error4(type, quote4(Udp({.destination = 6081}, "another")))));
  }
  EXPECT_FALSE(Taken(error4(5, quote4(probe)))) << "a redirect";
  EXPECT_FALSE(Taken(error4(3, "")));
  const auto quote6 = [&](const Segment& packet) {
    return AsText(Ethernet({}, Ip({.source = kHost6, .destination = kVip6}, packet)));
  };
  const auto error6 = [&](uint8_t type, const std::string& quoted) {
    return FromVip(kHost6, Icmp6({.type = type, .code = 1, .id = 0, .sequence = 0}, quoted));
  };
  for (const uint8_t type : {1, 3, 4}) {
    EXPECT_TRUE(Taken(error6(type, quote6(probe))));
    EXPECT_FALSE(Taken(error6(type, quote6(connection))));
  }
}

TEST_F(ProbeTest, WithoutASocketThePacketPasses) {
  const Bytes reply = FromVip(kHost4, Tcp({.source = 80, .destination = kFirst}));
  EXPECT_TRUE(Taken(reply));
  socket_.reset();  // as when the daemon dies
  EXPECT_FALSE(Taken(reply));
}

TEST_F(ProbeTest, AnUnknownInterfacePasses) {
  path_->Clear();
  EXPECT_FALSE(Taken(FromVip(kHost4, Tcp({.source = 80, .destination = kFirst}))));
}

TEST_F(ProbeTest, TheSelfTestTellsQueuesWithoutASocket) {
  const Bytes reply = FromVip(kHost4, Tcp({.source = 80, .destination = kFirst}));
  EXPECT_EQ(path_->Test(kIngressInterface, 0, reply).code(), absl::StatusCode::kUnavailable);
  path_->SetProgram(forwarder_->program().fd());
  EXPECT_TRUE(path_->Test(kIngressInterface, 0, reply).ok());
  path_->Clear();
  EXPECT_EQ(path_->Test(kIngressInterface, 0, reply).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ProbeTest, WithoutProbesNothingIsTaken) {
  forwarder_ = dataplane::Forwarder::Create({}).value();
  EXPECT_FALSE(Taken(FromVip(kHost4, Tcp({.source = 80, .destination = kFirst}))));
}

TEST_F(ProbeTest, ExplanationsKnowThem) {
  const Bytes frame = FromVip(kHost4, Tcp({.source = 80, .destination = kFirst}));
  const auto explanation = dataplane::Explain(*forwarder_, frame, kIngressInterface);
  ASSERT_TRUE(explanation.ok()) << explanation.status();
  EXPECT_EQ(explanation->decision.verdict, "probe_reply");
  EXPECT_EQ(explanation->xdp_action, XDP_REDIRECT);
  EXPECT_TRUE(SameBytes(frame, explanation->decision.frame));
  EXPECT_EQ(explanation->decision.vip, std::nullopt);
}

}  // namespace
}  // namespace lb::testing
