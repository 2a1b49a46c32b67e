// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "tests/support/packet_builder.h"

namespace lb::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const IpAddress kSource4 = *IpAddress::Parse("192.0.2.10");
const IpAddress kSource6 = *IpAddress::Parse("2001:db8:5::10");
const IpAddress kReal = *IpAddress::Parse("10.0.0.1");
const model::VipKey kVip = *model::VipKey::Parse("192.0.2.80:80/tcp");
constexpr int kIfindex = 7;

// Remembers what is sent.
class FakeWire final : public Wire {
 public:
  std::span<uint8_t> Reserve(int ifindex) override {
    if (full || ifindex != kIfindex) return {};
    return buffer_;
  }
  void Commit(size_t size) override {
    if (size != 0) sent.emplace_back(buffer_.begin(), buffer_.begin() + size);
  }
  std::string Problem(int) const override { return problem; }
  std::string Loss(Time) override { return loss; }

  bool full = false;
  std::string problem;
  std::string loss;
  std::deque<std::vector<uint8_t>> sent;

 private:
  std::array<uint8_t, 2048> buffer_{};
};

// A probe's packet, behind its outer header.
struct Probe {
  IpAddress outer_source;
  IpAddress outer_destination;
  Packet inner;
  TcpSegment segment;
};

class EngineTest : public ::testing::Test {
 protected:
  EngineTest()
      : engine_(
            wire_, {1, 2}, [this](const Transition& t) { told_.push_back(t); }, now_) {
    network_.hops = {{.real = kReal,
                      .hop = {.destination = testing::kGatewayMac,
                              .source = testing::kBalancerMac,
                              .ifindex = kIfindex,
                              .interface = "eth0",
                              .mtu = 1500,
                              .via = std::nullopt},
                      .problem = ""}};
    network_.attachments = {
        {.interface = "eth0", .mode = model::XdpMode::kNative, .program_id = 1, .link_up = true}};
    network_.addresses["eth0"] = {kSource4, kSource6};
  }

  void Plan1(const model::CheckKind& kind, State initial = State::kUp) {
    model::HealthCheck check{.kind = kind};
    check.timing = {.interval_ms = 1000, .timeout_ms = 500, .rise = 2, .fall = 2};
    plan_.vips = {{.key = kVip, .checks = {check}, .reals = {{kReal, initial}}}};
    engine_.SetPlan(plan_, now_);
    engine_.SetNetwork(network_, now_);
  }
  // The VIP with so many reals.
  void PlanMany(const model::HealthCheck& check, int reals, State initial) {
    PlannedVip vip{.key = kVip, .checks = {check}, .reals = {}};
    network_.hops.clear();
    for (int i = 1; i <= reals; ++i) {
      const IpAddress real = testing::Real4(i);
      vip.reals.push_back({real, initial});
      network_.hops.push_back({.real = real,
                               .hop = {.ifindex = kIfindex, .interface = "eth0", .mtu = 1500},
                               .problem = ""});
    }
    plan_.vips = {vip};
    engine_.SetPlan(plan_, now_);
    engine_.SetNetwork(network_, now_);
  }
  void Pass(Duration time) {
    const Time end = now_ + time;
    while (now_ < end) {
      now_ += milliseconds(1);
      engine_.Advance(now_);
    }
  }
  // The next SYN, which must come within two seconds.
  Probe NextSyn() {
    wire_.sent.clear();
    for (int i = 0; i < 2000; ++i) {
      while (!wire_.sent.empty()) {
        const Probe probe = Take();
        if (probe.segment.header.flags == kSyn) return probe;
      }
      Pass(milliseconds(1));
    }
    ADD_FAILURE() << "no SYN";
    return {};
  }
  Probe Take() {
    frame_ = wire_.sent.front();
    wire_.sent.pop_front();
    const auto outer = ParseFrame(frame_);
    EXPECT_TRUE(outer);
    const auto inner = ParseQuoted(outer->payload, outer->protocol == 4);
    EXPECT_TRUE(inner);
    const auto segment = ParseTcp(*inner);
    EXPECT_TRUE(segment) << "checksum";
    return {outer->source, outer->destination, *inner, *segment};
  }
  // What a real answers to a probe, from wherever.
  void Reply(const Probe& probe, const TcpHeader& header, std::string_view payload = {},
             std::optional<IpAddress> from = std::nullopt) {
    std::array<uint8_t, 2048> buffer;
    const size_t size =
        WriteTcp(buffer, Route(),
                 {.source = from.value_or(probe.inner.destination),
                  .destination = probe.inner.source,
                  .source_port = probe.segment.destination_port,
                  .destination_port = probe.segment.source_port},
                 header, Bytes(reinterpret_cast<const uint8_t*>(payload.data()), payload.size()));
    engine_.OnFrame(Bytes(buffer).first(size), now_, now_);
  }
  void Accept(const Probe& syn) {
    Reply(syn, {.seq = 100,
                .ack = syn.segment.header.seq + 1,
                .flags = kSyn | kAck,
                .window = 65535,
                .mss = 1400});
  }
  void Refuse(const Probe& syn) {
    Reply(syn, {.ack = syn.segment.header.seq + 1, .flags = kRst | kAck});
  }
  Report Look(Detail detail = Detail::kHistory) {
    return engine_.MakeReport({.detail = detail}, now_);
  }
  CheckReport Row() { return Look().checks.at(0); }
  Counters counters() { return Look().counters; }

  Time now_{seconds(1000)};
  FakeWire wire_;
  std::vector<Transition> told_;
  Engine engine_;
  Plan plan_;
  Network network_;
  std::vector<uint8_t> frame_;
};

TEST_F(EngineTest, AProbeTakesTheWayOfAClientToOneReal) {
  Plan1(model::TcpCheck());
  const Probe syn = NextSyn();
  EXPECT_EQ(syn.outer_destination, kReal);
  EXPECT_EQ(syn.outer_source, kSource4);
  EXPECT_EQ(syn.inner.source, kSource4);
  EXPECT_EQ(syn.inner.destination, kVip.address);
  EXPECT_EQ(syn.segment.destination_port, 80);
  EXPECT_GE(syn.segment.source_port, 61000);
}

TEST_F(EngineTest, ATcpProbeEndsByAResetBeforeTheServiceSeesIt) {
  Plan1(model::TcpCheck());
  Accept(NextSyn());
  ASSERT_THAT(wire_.sent, SizeIs(1));
  EXPECT_EQ(Take().segment.header.flags, kRst | kAck);
  EXPECT_EQ(Row().last, Outcome::Ok());
  EXPECT_EQ(counters().succeeded, 1u);
}

TEST_F(EngineTest, TheFirstAnswerTakesANewRealIn) {
  Plan1(model::TcpCheck(), State::kUnknown);
  Accept(NextSyn());
  ASSERT_THAT(told_, SizeIs(1));
  EXPECT_TRUE(told_[0].up);
  EXPECT_EQ(told_[0].reason, "tcp: ok");
}

TEST_F(EngineTest, TheLatencyIsThatOfTheLastSuccess) {
  Plan1(model::TcpCheck());
  const auto latency = [&] { return Look(Detail::kStates).checks.at(0).latency_micros; };
  EXPECT_FALSE(latency());
  for (const int millis : {7, 3}) {
    const Probe syn = NextSyn();
    Pass(milliseconds(millis));
    Accept(syn);
    EXPECT_EQ(latency(), 1000u * millis);
  }
  Refuse(NextSyn());
  EXPECT_EQ(latency(), 3000u);
}

TEST_F(EngineTest, RefusalsTakeItOutWithTheirReason) {
  Plan1(model::TcpCheck());
  Refuse(NextSyn());
  EXPECT_THAT(told_, IsEmpty());
  Refuse(NextSyn());
  ASSERT_THAT(told_, SizeIs(1));
  EXPECT_FALSE(told_[0].up);
  EXPECT_EQ(told_[0].reason, "tcp: connection refused");
  EXPECT_EQ(Row().history.size(), 1u);
}

TEST_F(EngineTest, SilenceTakesItOutWithinFallIntervalsAndATimeout) {
  Plan1(model::TcpCheck());
  NextSyn();
  const Time first = now_;
  while (told_.empty() && now_ < first + seconds(10)) Pass(milliseconds(1));
  ASSERT_THAT(told_, SizeIs(1));
  EXPECT_EQ(told_[0].reason, "tcp: timeout after 500 ms, SYN unanswered");
  EXPECT_LE(now_ - first, seconds(2) + milliseconds(500));
}

TEST_F(EngineTest, ALostSynIsSentAgain) {
  Plan1(model::TcpCheck());
  const Probe lost = NextSyn();
  const Probe again = NextSyn();
  EXPECT_EQ(lost.segment.header.seq, again.segment.header.seq);
  Accept(again);
  EXPECT_EQ(counters().succeeded, 1u);
}

TEST_F(EngineTest, HttpAsksAndJudges) {
  Plan1(model::HttpCheck());
  const Probe syn = NextSyn();
  Accept(syn);
  const Probe request = Take();
  EXPECT_EQ(request.segment.payload.size(), request.segment.payload.size());
  Reply(syn,
        {.seq = 101,
         .ack = request.segment.header.seq + static_cast<uint32_t>(request.segment.payload.size()),
         .flags = kAck | kPush,
         .window = 65535},
        "HTTP/1.1 503 Busy\r\n\r\n");
  EXPECT_EQ(Row().last.reason, "got 503, want 200-299");
  EXPECT_EQ(counters().failed[static_cast<size_t>(Failure::kStatus)], 1u);
}

TEST_F(EngineTest, ForgeriesDecideNothing) {
  Plan1(model::TcpCheck());
  const Probe syn = NextSyn();
  const uint32_t isn = syn.segment.header.seq;
  Reply(syn, {.seq = 1, .ack = isn, .flags = kSyn | kAck});
  Reply(syn, {.ack = isn + 2, .flags = kRst | kAck});
  Reply(syn, {.seq = 1, .ack = isn + 1, .flags = kSyn | kAck}, {}, *IpAddress::Parse("10.9.9.9"));
  EXPECT_EQ(counters().rejected, 3u);
  EXPECT_EQ(counters().succeeded, 0u);
  EXPECT_FALSE(Row().last_at);
}

TEST_F(EngineTest, DamagedFramesAreCounted) {
  Plan1(model::TcpCheck());
  const Probe syn = NextSyn();
  std::array<uint8_t, 256> buffer;
  const size_t size =
      WriteTcp(buffer, Route(),
               {.source = kVip.address,
                .destination = kSource4,
                .source_port = 80,
                .destination_port = syn.segment.source_port},
               {.seq = 1, .ack = syn.segment.header.seq + 1, .flags = kSyn | kAck}, {});
  buffer[size - 1] ^= 1;
  engine_.OnFrame(Bytes(buffer).first(size), now_, now_);
  EXPECT_EQ(counters().malformed, 1u);
  EXPECT_FALSE(Row().last_at);
}

TEST_F(EngineTest, AnAnswerFromTheRealItselfIsNamed) {
  Plan1(model::TcpCheck());
  const Probe syn = NextSyn();
  Reply(syn, {.seq = 1, .ack = syn.segment.header.seq + 1, .flags = kSyn | kAck}, {}, kReal);
  EXPECT_EQ(Row().last.failure, Failure::kWrongSource);
  EXPECT_EQ(Row().last.reason, "answer from 10.0.0.1, not from the VIP");
}

TEST_F(EngineTest, WhatFollowsOurResetIsNotAnsweredByAnother) {
  Plan1(model::TcpCheck());
  const Probe syn = NextSyn();
  Accept(syn);
  ASSERT_THAT(wire_.sent, SizeIs(1));
  wire_.sent.clear();
  const TcpHeader fin{.seq = 101, .ack = syn.segment.header.seq + 1, .flags = kFin | kAck};
  Pass(milliseconds(499));
  Reply(syn, fin);
  EXPECT_THAT(wire_.sent, IsEmpty());
  EXPECT_EQ(counters().late, 1u);
  EXPECT_EQ(counters().resets, 0u);
  // What is of no connection of ours is told so, and so is who has not heard our reset by now.
  Reply(syn, {.seq = 101, .ack = syn.segment.header.seq - 1, .flags = kFin | kAck});
  EXPECT_EQ(counters().resets, 1u);
  Pass(milliseconds(2));
  Reply(syn, fin);
  EXPECT_EQ(counters().resets, 2u);
  EXPECT_EQ(counters().late, 3u);
}

TEST_F(EngineTest, WhatFollowsOurResetIsLateForTheNextProbeOfItsPort) {
  plan_.settings.first_port = 61000;
  plan_.settings.last_port = 61000;
  Plan1(model::TcpCheck());
  plan_.vips[0].checks[0].timing.interval_ms = 100;
  engine_.SetPlan(plan_, now_);
  const Probe first = NextSyn();
  Accept(first);
  const Probe second = NextSyn();
  ASSERT_EQ(second.segment.source_port, first.segment.source_port);
  wire_.sent.clear();
  Reply(first, {.seq = 101, .ack = first.segment.header.seq + 1, .flags = kFin | kAck});
  EXPECT_THAT(wire_.sent, IsEmpty());
  EXPECT_EQ(counters().late, 1u);
  EXPECT_EQ(counters().rejected, 0u);
  Accept(second);
  EXPECT_EQ(counters().succeeded, 2u);
}

TEST_F(EngineTest, AResetThatCouldNotBeSentIsMadeUpFor) {
  Plan1(model::TcpCheck());
  const Probe syn = NextSyn();
  wire_.full = true;
  Accept(syn);
  wire_.full = false;
  Reply(syn, {.seq = 101, .ack = syn.segment.header.seq + 1, .flags = kFin | kAck});
  EXPECT_EQ(counters().resets, 1u);
}

TEST_F(EngineTest, ResetsOfOursAreFew) {
  Plan1(model::TcpCheck());
  const Probe syn = NextSyn();
  wire_.sent.clear();
  for (int i = 0; i < 1000; ++i) {
    Reply(syn, {.seq = 1, .ack = 77, .flags = kSyn | kAck});
  }
  EXPECT_EQ(wire_.sent.size(), 100u);
  EXPECT_EQ(counters().resets, 100u);
}

TEST_F(EngineTest, ARealWithoutDecapsulationIsNamed) {
  Plan1(model::TcpCheck());
  NextSyn();
  // ICMP protocol unreachable of the real, quoting the outer packet.
  const std::string quoted(frame_.begin() + 14, frame_.end());
  const auto error = testing::Ethernet(
      {}, testing::Ip({.source = kReal, .destination = kSource4},
                      testing::Icmp({.type = 3, .code = 2, .id = 0, .sequence = 0}, quoted)));
  engine_.OnFrame(error, now_, now_);
  EXPECT_EQ(Row().last.failure, Failure::kNoDecap);
  EXPECT_EQ(Row().last.reason,
            "the real does not decapsulate (icmp: protocol unreachable from 10.0.0.1)");
}

TEST_F(EngineTest, EveryEncapIsProbedAndItsMissingEndNamed) {
  const struct {
    model::Encap encap;
    uint8_t protocol;
    uint8_t code;  // of the ICMP error of a host where nobody ends the tunnel
  } cases[] = {
      {model::Encap::kIpIp, 4, 3}, {model::Encap::kGre, 47, 2}, {model::Encap::kGue, 17, 3}};
  uint64_t found = 0;
  for (const auto& c : cases) {
    Plan1(model::TcpCheck());
    plan_.gue_port = 5555;
    plan_.vips[0].reals[0].encap = c.encap;
    engine_.SetPlan(plan_, now_);
    Pass(seconds(1));  // what was under way goes on as it began
    wire_.sent.clear();
    while (wire_.sent.empty()) Pass(milliseconds(1));
    const std::vector<uint8_t> frame = wire_.sent.front();
    const auto outer = ParseFrame(frame);
    ASSERT_TRUE(outer);
    EXPECT_EQ(outer->protocol, c.protocol);
    EXPECT_EQ(outer->destination, kReal);
    const auto inner = ParseInner(*outer, 5555);
    ASSERT_TRUE(inner);
    EXPECT_EQ(inner->destination, kVip.address);
    const std::string quoted(frame.begin() + 14, frame.end());
    engine_.OnFrame(
        testing::Ethernet(
            {}, testing::Ip(
                    {.source = kReal, .destination = kSource4},
                    testing::Icmp({.type = 3, .code = c.code, .id = 0, .sequence = 0}, quoted))),
        now_, now_);
    EXPECT_EQ(counters().failed[static_cast<size_t>(Failure::kNoDecap)], ++found)
        << model::ToString(c.encap);
  }
}

TEST_F(EngineTest, ARealOnTheSegmentGetsTheProbeUnchanged) {
  Plan1(model::TcpCheck());
  plan_.vips[0].reals[0].encap = model::Encap::kL2;
  engine_.SetPlan(plan_, now_);
  wire_.sent.clear();
  while (wire_.sent.empty()) Pass(milliseconds(1));
  const auto packet = ParseFrame(wire_.sent.front());
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->destination, kVip.address);
  EXPECT_EQ(packet->source, kSource4);
  EXPECT_TRUE(ParseTcp(*packet));
}

TEST_F(EngineTest, OfAPrefixOneAddressIsProbed) {
  plan_.vips = {{.key = *model::VipKey::Parse("192.0.2.64/26:8000-8099/tcp"),
                 .checks = {{.kind = model::TcpCheck(), .timing = {.interval_ms = 500}}},
                 .reals = {{kReal, State::kUp}}}};
  engine_.SetPlan(plan_, now_);
  engine_.SetNetwork(network_, now_);
  Probe syn = NextSyn();
  EXPECT_EQ(syn.inner.destination, *IpAddress::Parse("192.0.2.65"));
  EXPECT_EQ(syn.segment.destination_port, 8000);
  plan_.vips[0].checks[0].address = IpAddress::Parse("192.0.2.100").value();
  plan_.vips[0].checks[0].port = 8080;
  engine_.SetPlan(plan_, now_);
  syn = NextSyn();
  EXPECT_EQ(syn.inner.destination, *IpAddress::Parse("192.0.2.100"));
  EXPECT_EQ(syn.segment.destination_port, 8080);
}

TEST_F(EngineTest, AnUnreachableHostIsNamed) {
  Plan1(model::TcpCheck());
  NextSyn();
  std::string quoted(frame_.begin() + 14, frame_.end());
  const auto send = [&] {
    engine_.OnFrame(
        testing::Ethernet(
            {}, testing::Ip({.source = *IpAddress::Parse("192.0.2.1"), .destination = kSource4},
                            testing::Icmp({.type = 3, .code = 1, .id = 0, .sequence = 0}, quoted))),
        now_, now_);
  };
  quoted[44 + 3] ^= 0x40;  // another sequence number: who sent this has not seen the probe
  quoted[44] ^= 0x40;
  send();
  EXPECT_EQ(counters().rejected, 1u);
  quoted[44 + 3] ^= 0x40;
  quoted[44] ^= 0x40;
  send();
  EXPECT_EQ(Row().last.reason, "icmp: host unreachable from 192.0.2.1");
}

TEST_F(EngineTest, WithoutANextHopItIsBlindAndKeepsItsState) {
  Plan1(model::TcpCheck());
  network_.hops[0].problem = "10.0.0.1 on eth0 does not answer ARP";
  engine_.SetNetwork(network_, now_);
  Pass(seconds(10));
  EXPECT_THAT(wire_.sent, IsEmpty());
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_EQ(Row().blind, "10.0.0.1 on eth0 does not answer ARP");
  EXPECT_EQ(Row().state, State::kUp);
  ASSERT_THAT(Look(Detail::kBlind).checks, SizeIs(1));
  EXPECT_EQ(Look(Detail::kBlind).checks[0].blind, Row().blind);
  network_.hops[0].problem.clear();
  engine_.SetNetwork(network_, now_);
  Accept(NextSyn());
  EXPECT_EQ(Row().blind, "");
  EXPECT_THAT(Look(Detail::kBlind).checks, IsEmpty());
}

TEST_F(EngineTest, TroubleOfOursDuringAProbeIsNoVerdict) {
  Plan1(model::TcpCheck());
  NextSyn();
  network_.attachments[0].link_up = false;
  engine_.SetNetwork(network_, now_);
  network_.attachments[0].link_up = true;
  engine_.SetNetwork(network_, now_);
  Pass(milliseconds(501));
  EXPECT_EQ(counters().frozen, 1u);
  EXPECT_FALSE(Row().last_at);
  // Our own thread did not run for most of the next one.
  NextSyn();
  engine_.NoteStall(milliseconds(150));
  engine_.NoteStall(milliseconds(150));
  Pass(milliseconds(501));
  EXPECT_EQ(counters().frozen, 2u);
  EXPECT_THAT(Row().blind, HasSubstr("did not get to run for 300 ms"));
  // A short one is no excuse.
  NextSyn();
  engine_.NoteStall(milliseconds(200));
  Pass(milliseconds(501));
  EXPECT_EQ(counters().frozen, 2u);
  EXPECT_TRUE(Row().last_at);
}

TEST_F(EngineTest, AnswersThatAreLostHereAreNoVerdictButRefusalsAre) {
  Plan1(model::TcpCheck());
  wire_.loss = "no room";
  NextSyn();
  Pass(milliseconds(501));
  EXPECT_EQ(counters().frozen, 1u);
  EXPECT_EQ(Row().blind, "no room");
  EXPECT_FALSE(Row().last_at);
  Refuse(NextSyn());
  Refuse(NextSyn());
  EXPECT_EQ(Row().state, State::kDown);
}

TEST_F(EngineTest, AFullRingDelays) {
  Plan1(model::TcpCheck());
  wire_.full = true;
  Pass(milliseconds(1200));
  EXPECT_GT(counters().delayed, 0u);
  EXPECT_THAT(wire_.sent, IsEmpty());
  EXPECT_EQ(counters().frozen, 1u) << "a probe that was never sent says nothing of the real";
  EXPECT_THAT(told_, IsEmpty());
  wire_.full = false;
  NextSyn();
}

TEST_F(EngineTest, WhenAllPortsAreUnderWayProbesWait) {
  plan_.settings.first_port = 61000;
  plan_.settings.last_port = 61001;
  model::HealthCheck check{.kind = model::TcpCheck()};
  check.timing = {.interval_ms = 100, .timeout_ms = 50};
  PlanMany(check, 10, State::kUp);
  Pass(milliseconds(40));
  EXPECT_EQ(Look().in_flight, 2u);
  EXPECT_GT(counters().delayed, 0u);
  Pass(seconds(2));
  for (const CheckReport& row : Look().checks) {
    EXPECT_TRUE(row.last_at) << row.real.ToString() << " was starved";
  }
}

TEST_F(EngineTest, ManyProbesSpreadOverTheInterval) {
  PlanMany({.kind = model::TcpCheck()}, 2000, State::kUnknown);
  size_t most = 0;
  size_t before = 0;
  for (int i = 0; i < 18; ++i) {
    Pass(milliseconds(100));
    const size_t started = counters().started;
    most = std::max(most, started - before);
    before = started;
  }
  EXPECT_NEAR(static_cast<double>(before), 1800, 100);
  EXPECT_LT(most, 160u) << "a hundred would be even";
}

TEST_F(EngineTest, AChangeOfThePlanKeepsStates) {
  Plan1(model::TcpCheck());
  Refuse(NextSyn());
  Refuse(NextSyn());
  ASSERT_THAT(told_, SizeIs(1));
  plan_.vips[0].checks[0].timing.interval_ms = 500;
  plan_.vips[0].reals[0].initial = State::kDown;
  engine_.SetPlan(plan_, now_);
  EXPECT_EQ(Row().state, State::kDown);
  EXPECT_THAT(told_, SizeIs(1));
  plan_.vips.clear();
  engine_.SetPlan(plan_, now_);
  EXPECT_THAT(Look().checks, IsEmpty());
  Pass(seconds(3));
}

TEST_F(EngineTest, AReportSaysAsMuchAsItIsAskedFor) {
  Plan1(model::TcpCheck());
  PlannedVip other = plan_.vips[0];
  other.key = *model::VipKey::Parse("192.0.2.81:80/tcp");
  plan_.vips.push_back(other);
  engine_.SetPlan(plan_, now_);
  engine_.SetNetwork(network_, now_);
  while (told_.size() < 2) Refuse(NextSyn());
  EXPECT_THAT(Look(Detail::kTotals).checks, IsEmpty());
  EXPECT_EQ(Look(Detail::kTotals).counters.transitions, 2u);
  EXPECT_EQ(Look(Detail::kTotals).source_v4, kSource4);
  const Report states = Look(Detail::kStates);
  ASSERT_THAT(states.checks, SizeIs(2));
  EXPECT_EQ(states.checks[0].state, State::kDown);
  EXPECT_FALSE(states.checks[0].last_at);
  EXPECT_FALSE(states.checks[0].latency_micros) << "no probe has succeeded";
  const Report checks = Look(Detail::kChecks);
  EXPECT_EQ(checks.checks.at(0).last.reason, "connection refused");
  EXPECT_THAT(checks.checks.at(0).history, IsEmpty());
  EXPECT_THAT(Look(Detail::kHistory).checks.at(0).history, SizeIs(1));
  for (const PlannedVip& vip : plan_.vips) {
    const Report one = engine_.MakeReport({.detail = Detail::kStates, .vip = vip.key}, now_);
    ASSERT_THAT(one.checks, SizeIs(1));
    EXPECT_EQ(one.checks[0].vip, vip.key);
  }
}

TEST_F(EngineTest, ARealIsUpWhileAllItsChecksAre) {
  Plan1(model::TcpCheck());
  model::HealthCheck second{.kind = model::TcpCheck(), .port = 8080};
  second.timing = {.interval_ms = 1000, .timeout_ms = 500, .rise = 1, .fall = 1};
  plan_.vips[0].checks.push_back(second);
  engine_.SetPlan(plan_, now_);
  EXPECT_THAT(told_, IsEmpty()) << "a check more takes nothing out by itself";
  while (told_.empty()) {
    const Probe syn = NextSyn();
    syn.segment.destination_port == 8080 ? Refuse(syn) : Accept(syn);
  }
  EXPECT_FALSE(told_[0].up);
  plan_.vips[0].checks.pop_back();
  engine_.SetPlan(plan_, now_);
  ASSERT_THAT(told_, SizeIs(2));
  EXPECT_TRUE(told_[1].up);
}

TEST_F(EngineTest, DatagramsAreAskedAgainAndAnsweredOnce) {
  Plan1(model::UdpCheck{.send = "ping", .expect = "pong"});
  const auto next = [&] {
    while (wire_.sent.empty()) Pass(milliseconds(1));
    frame_ = wire_.sent.front();
    wire_.sent.pop_front();
    const auto outer = ParseFrame(frame_);
    EXPECT_EQ(outer->destination, kReal);
    return *ParseQuoted(outer->payload, true);
  };
  next();
  const std::vector<uint8_t> copy = frame_;
  const Packet second = next();
  EXPECT_EQ(copy, frame_) << "the same question again";
  const auto query = ParseUdp(second);
  ASSERT_TRUE(query);
  const auto reply = [&](const IpAddress& from, std::string_view text) {
    std::array<uint8_t, 256> buffer;
    const size_t size = WriteUdp(buffer, Route(),
                                 {.source = from,
                                  .destination = kSource4,
                                  .source_port = 80,
                                  .destination_port = query->source_port},
                                 Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
    engine_.OnFrame(Bytes(buffer).first(size), now_, now_);
  };
  reply(*IpAddress::Parse("10.9.9.9"), "pong");
  EXPECT_EQ(counters().rejected, 1u);
  reply(kVip.address, "pong");
  EXPECT_EQ(counters().succeeded, 1u);
  reply(kVip.address, "pong");
  EXPECT_EQ(counters().late, 1u);
}

TEST_F(EngineTest, AnEchoOfTheRealIsSharedByItsVips) {
  const model::VipKey other = *model::VipKey::Parse("192.0.2.81:80/tcp");
  model::HealthCheck check{.kind = model::IcmpCheck()};
  check.timing = {.interval_ms = 1000, .timeout_ms = 500};
  plan_.vips = {{.key = kVip, .checks = {check}, .reals = {{kReal, State::kUnknown}}},
                {.key = other, .checks = {check}, .reals = {{kReal, State::kUnknown}}}};
  engine_.SetPlan(plan_, now_);
  engine_.SetNetwork(network_, now_);
  Pass(milliseconds(100));
  ASSERT_THAT(wire_.sent, SizeIs(1)) << "one probe for both";
  const auto request = ParseFrame(wire_.sent.front());
  ASSERT_TRUE(request);
  EXPECT_EQ(request->destination, kReal) << "outside the tunnel";
  const auto echo = ParseIcmp(*request);
  ASSERT_TRUE(echo);
  const std::string cookie(echo->payload.begin(), echo->payload.end());
  const auto answer = [&](const IpAddress& from, const std::string& payload) {
    engine_.OnFrame(
        testing::Ethernet(
            {}, testing::Ip({.source = from, .destination = kSource4},
                            testing::Icmp({.type = 0, .id = echo->id, .sequence = echo->sequence},
                                          payload))),
        now_, now_);
  };
  answer(kReal, "forged..");
  answer(kVip.address, cookie);
  EXPECT_EQ(counters().rejected, 2u);
  answer(kReal, cookie);
  ASSERT_THAT(told_, SizeIs(2));
  EXPECT_EQ(told_[0].vip, kVip);
  EXPECT_EQ(told_[1].vip, other);
  plan_.vips.pop_back();
  engine_.SetPlan(plan_, now_);
  EXPECT_THAT(Look().checks, SizeIs(1));
  plan_.vips.clear();
  engine_.SetPlan(plan_, now_);
  EXPECT_THAT(Look().checks, IsEmpty());
}

TEST_F(EngineTest, TheDataPlanesOuterSourceCanBeUsed) {
  plan_.settings.dataplane_source = true;
  plan_.dataplane_source_v4 = *IpPrefix::Parse("172.16.0.0/16");
  Plan1(model::TcpCheck());
  const Probe syn = NextSyn();
  EXPECT_TRUE(plan_.dataplane_source_v4.Contains(syn.outer_source)) << syn.outer_source.ToString();
  EXPECT_EQ(syn.inner.source, kSource4);
}

}  // namespace
}  // namespace lb::health
