// SPDX-License-Identifier: Apache-2.0
// Packets that name their real by themselves: QUIC connection ids and the TCP option.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

using dataplane::Service;
using model::RealState;

// What a packet of the table is expected to do.
enum Way { kById, kUnknown, kAbsent, kOpens };

const IpAddress kA = Real4(1), kB = Real6(2), kC = Real4(3);
constexpr uint64_t kIdA = 0x0a01, kIdB = 0x0b02, kIdC = 0xfffe;
constexpr uint8_t kSyn = 0x02, kAck = 0x10, kFinAck = 0x11;
constexpr uint32_t kFlow = 7;

std::string Zeros(size_t count) { return std::string(count, '\0'); }
std::string Text(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

// A connection id of 10 bytes that begins so.
std::string ConnectionId(Bytes begin) {
  begin.resize(10, 0x5a);
  return Text(begin);
}

std::string ShortHeader(const Bytes& id) { return "\x41" + ConnectionId(id) + Zeros(20); }

constexpr uint32_t kVersion1 = 1, kVersion2 = 0x6b3343cf;
std::string LongHeader(uint8_t type, const Bytes& id, uint32_t version = kVersion1,
                       uint8_t id_length = 10) {
  std::string packet(1, static_cast<char>(0xc0 | type << 4));
  for (int shift = 24; shift >= 0; shift -= 8) packet += static_cast<char>(version >> shift);
  packet += static_cast<char>(id_length);
  return packet + ConnectionId(id).substr(0, id_length) + Zeros(30);
}

// The option of Katran's TPR, as a little-endian kernel writes it.
Bytes Option(uint32_t id) {
  return {0xb7, 6, uint8_t(id), uint8_t(id >> 8), uint8_t(id >> 16), uint8_t(id >> 24)};
}

Bytes Padded(Bytes options) {
  options.resize((options.size() + 3) / 4 * 4, 1);
  return options;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Bytes kTimestamps = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};

class RouteByIdTest : public ::testing::TestWithParam<const char*> {
 protected:
  explicit RouteByIdTest(model::Protocol protocol)
      : balancer_(Small(), LB_FEATURE_QUIC_IDS | LB_FEATURE_TCP_IDS) {
    vip_ = {.address = Address(GetParam()), .port = 443, .protocol = protocol};
  }

  static model::Settings Small() {
    model::Settings settings;
    settings.limits = {.vips = 4, .reals = 1024, .ring_slots = 1 << 14, .flows = 1 << 12};
    return settings;
  }
  // All slots lead to A; the reals have these states.
  Service Make(const std::vector<RealState>& states = {3, RealState::kActive}) const {
    Service service = MakeService(vip_, {kA, kB, kC}, model::Ring(256, 1));
    const uint64_t ids[] = {kIdA, kIdB, kIdC};
    for (size_t i = 0; i < service.vip.reals.size(); ++i) {
      service.vip.reals[i].server_id = ids[i];
      service.vip.reals[i].state = states[i];
    }
    service.vip.route_by_id = route_;
    return service;
  }
  static Service To(Service service, uint16_t number) {
    service.ring = std::make_shared<const model::Ring>(service.ring->size(), number);
    return service;
  }
  void Serve(const Service& service) { balancer_.Serve({service}); }

  Bytes Frame(const Segment& l4) const {
    const bool v4 = vip_.address.is_v4();
    return Ethernet({}, Ip({.source = v4 ? kClient4 : kClient6, .destination = vip_.address}, l4));
  }
  // The real that a frame goes to. What leaves is what leaves if the flow hash leads there.
  IpAddress RealOfFrame(const Bytes& frame) {
    const Outcome outcome = balancer_.Send(frame);
    EXPECT_EQ(outcome.verdict, LB_FORWARD);
    if (outcome.verdict != LB_FORWARD) return {};
    const IpAddress real = RealOf(outcome.out);
    EXPECT_TRUE(SameBytes(Plain(real).SendFast(frame).out, outcome.out));
    return real;
  }
  // A balancer that has only this real, and does not look at ids.
  Balancer& Plain(const IpAddress& real) const {
    static std::map<std::pair<model::VipKey, IpAddress>, std::unique_ptr<Balancer>> plain;
    auto& balancer = plain[{vip_, real}];
    if (balancer == nullptr) {
      balancer = std::make_unique<Balancer>(Small());
      balancer->Serve({MakeService(vip_, {real}, model::Ring(256, 1))});
    }
    return *balancer;
  }
  void ExpectWay(const Bytes& frame, Way way, const IpAddress& by_id = kB) {
    const auto before = balancer_.forwarder().ReadNotes();
    EXPECT_EQ(RealOfFrame(frame), way == kById ? by_id : kA);
    const auto after = balancer_.forwarder().ReadNotes();
    for (size_t note = 0; note < after.size(); ++note) {
      EXPECT_EQ(after[note] - before[note], note == way ? 1u : 0u) << note;
    }
  }

  model::VipKey vip_;
  model::RouteById route_;
  Balancer balancer_;
};

class QuicTest : public RouteByIdTest {
 protected:
  QuicTest() : RouteByIdTest(model::Protocol::kUdp) { route_.quic_lb = {2, 0, 0, 3}; }
  Bytes Quic(const std::string& packet) const {
    return Frame(Udp({.source = FlowPort(kFlow), .destination = 443}, packet));
  }
};
INSTANTIATE_TEST_SUITE_P(Vips, QuicTest, ::testing::Values("192.0.2.80", "2001:db8:5::80"));

TEST_P(QuicTest, ConnectionIdsOfQuicLb) {
  Serve(Make());
  const Bytes known = {0x05, 0x0b, 0x02}, other = {0x1f, 0xff, 0xfe}, unknown = {0x00, 0x77, 0x77},
              config3 = {0x60, 0, 0x0b, 0x02}, unused = {0x20, 0x0b, 0x02},
              by_hash = {0xe0, 0x0b, 0x02};
  const struct {
    const char* name;
    std::string packet;
    Way way;
    IpAddress by_id = kB;
  } kTable[] = {
      {"short header", ShortHeader(known), kById},
      {"short header, another real", ShortHeader(other), kById, kC},
      {"short header, another config id", ShortHeader(config3), kById},
      {"short header, config id that is not used", ShortHeader(unused), kAbsent},
      {"short header, config id that says by flow hash", ShortHeader(by_hash), kAbsent},
      {"short header, unknown id", ShortHeader(unknown), kUnknown},
      {"shortest packet that is read", ShortHeader(known).substr(0, 14), kById},
      {"too short", ShortHeader(known).substr(0, 13), kAbsent},
      {"no payload", "", kAbsent},
      {"Initial of a new connection", LongHeader(0, unknown), kOpens},
      {"Initial whose random id is known", LongHeader(0, known), kOpens},
      {"0-RTT", LongHeader(1, known), kAbsent},
      {"Handshake", LongHeader(2, known), kById},
      {"Handshake, unknown id", LongHeader(2, unknown), kUnknown},
      {"Handshake, id too short for a server id", LongHeader(2, known, kVersion1, 2), kAbsent},
      {"Handshake, id just long enough", LongHeader(2, known, kVersion1, 3), kById},
      {"Handshake without an id", LongHeader(2, known, kVersion1, 0), kAbsent},
      {"Initial of version 2", LongHeader(1, known, kVersion2), kOpens},
      {"0-RTT of version 2", LongHeader(2, known, kVersion2), kAbsent},
      {"Handshake of version 2", LongHeader(3, known, kVersion2), kById},
      {"Initial of a version that nobody knows", LongHeader(0, known, 0x1a2a3a4a), kOpens},
  };
  for (const auto& row : kTable) {
    SCOPED_TRACE(row.name);
    ExpectWay(Quic(row.packet), row.way, row.by_id);
  }
}

TEST_P(QuicTest, ConnectionIdsOfKatran) {
  route_ = {.quic_katran = true};
  Serve(Make());
  // Version 1: two bits, then the id; 2 and 3: a byte, then 24 and 32 bits.
  const uint16_t v1 = 0x4000 | kIdB >> 2;
  const Bytes version1 = {uint8_t(v1 >> 8), uint8_t(v1), uint8_t(kIdB << 6)};
  ExpectWay(Quic(ShortHeader(version1)), kById);
  ExpectWay(Quic(ShortHeader({0x80, 0, 0x0b, 0x02})), kById);
  ExpectWay(Quic(ShortHeader({0xbf, 0, 0xff, 0xfe})), kById, kC);
  ExpectWay(Quic(ShortHeader({0xc0, 0, 0, 0x0b, 0x02})), kById);
  ExpectWay(Quic(ShortHeader({0xc0, 1, 0, 0x0b, 0x02})), kUnknown);
  ExpectWay(Quic(ShortHeader({0x00, 0x0b, 0x02})), kAbsent);
  ExpectWay(Quic(LongHeader(2, {0x80, 0, 0x0b, 0x02})), kById);
}

// The peers' mistake: what was routed by id is stored, and packets without an id go elsewhere.
TEST_P(QuicTest, NothingIsRecordedOfWhatIsRoutedById) {
  Serve(Make());
  Serve(To(Make(), 3));
  for (int i = 0; i < 3; ++i) ExpectWay(Quic(ShortHeader({0, 0x0b, 0x02})), kById);
  EXPECT_FALSE(balancer_.HasFlows());
  EXPECT_EQ(RealOfFrame(Quic(ShortHeader({0xe0}))), kA);
  EXPECT_EQ(RealOfFrame(Quic(ShortHeader({0, 0x0b, 0x02}))), kB);
  EXPECT_EQ(RealOfFrame(Quic(ShortHeader({0xe0}))), kA);
}

TEST_P(QuicTest, InitialOpensAConnectionAsASynDoes) {
  Serve(Make());
  Serve(To(Make(), 3));
  const auto initial = Quic(LongHeader(0, {0x11, 0x77, 0x77}));
  EXPECT_EQ(RealOfFrame(initial), kC);
  EXPECT_EQ(RealOfFrame(Quic(LongHeader(1, {0x11, 0x77, 0x77}))), kC);
  EXPECT_EQ(RealOfFrame(Quic(ShortHeader({0xe0}))), kC);
  // The target changes while the handshake is under way: who answers C is not sent on to B.
  Serve(To(Make(), 2));
  EXPECT_EQ(RealOfFrame(Quic(LongHeader(0, {0x00, 0xff, 0xfe}))), kC);
  EXPECT_EQ(RealOfFrame(initial), kB);
}

TEST_P(QuicTest, InitialThatAnswersTheOldOwnerStaysThere) {
  Serve(Make());
  Serve(To(Make(), 3));
  EXPECT_EQ(RealOfFrame(Quic(LongHeader(0, {0x00, 0x0a, 0x01}))), kA);
  EXPECT_EQ(RealOfFrame(Quic(LongHeader(0, {0x00, 0x77, 0x77}))), kC);
}

TEST_P(QuicTest, RealThatIsInNoSlotKeepsItsConnections) {
  for (const RealState state : {RealState::kDraining, RealState::kDown}) {
    Serve(Make({RealState::kActive, state, RealState::kActive}));
    ExpectWay(Quic(ShortHeader({0, 0x0b, 0x02})), kById);
  }
}

TEST_P(QuicTest, RemovedRealIsUnknownAtOnce) {
  Serve(Make());
  Service service = Make();
  service.vip.reals.erase(service.vip.reals.begin() + 1);
  Serve(service);
  ExpectWay(Quic(ShortHeader({0, 0x0b, 0x02})), kUnknown);
  ExpectWay(Quic(ShortHeader({0, 0xff, 0xfe})), kById, kC);
}

TEST_P(QuicTest, IdsFollowTheConfiguration) {
  Service service = Make();
  Serve(service);
  std::swap(service.vip.reals[1].server_id, service.vip.reals[2].server_id);
  Serve(service);
  ExpectWay(Quic(ShortHeader({0, 0x0b, 0x02})), kById, kC);
  service.vip.route_by_id = {};
  Serve(service);
  EXPECT_EQ(RealOfFrame(Quic(ShortHeader({0, 0x0b, 0x02}))), kA);
}

TEST_P(QuicTest, DrainingRealWhoseConnectionsAreGivenUpIsUnknownUntilItIsActive) {
  const auto of_b = Quic(ShortHeader({0, 0x0b, 0x02}));
  const auto draining = Make({RealState::kActive, RealState::kDraining, RealState::kActive});
  Serve(draining);
  balancer_.forwarder().PurgeFlows(vip_, kB);
  ExpectWay(of_b, kUnknown);
  Service other = draining;
  other.vip.reals[2].server_id = 0x0c0c;
  Serve(other);
  ExpectWay(of_b, kUnknown);
  Serve(Make());
  ExpectWay(of_b, kById);
}

TEST_P(QuicTest, NextProcessKnowsTheIds) {
  Serve(Make());
  balancer_.Restart({Make()});
  ExpectWay(Quic(ShortHeader({0, 0x0b, 0x02})), kById);
}

TEST_P(QuicTest, ManyChangesLeakNothing) {
  Service service = Make();
  for (uint64_t id = 1; id < 100; ++id) {
    service.vip.reals[1].server_id = id;
    balancer_.Serve({service});
    if (HasFailure()) break;
  }
  ExpectWay(Quic(ShortHeader({0, 0, 99})), kById);
}

TEST_P(QuicTest, EveryIdOfManyRealsIsFound) {
  route_.quic_lb = {3};
  Service service{.vip = {.key = vip_}, .ring = std::make_shared<const model::Ring>(1024, 1)};
  service.vip.route_by_id = route_;
  for (int i = 1; i <= 500; ++i) {
    service.vip.reals.push_back({.address = Real4(i), .server_id = i * 31337u % 0xffffff});
  }
  Serve(service);
  for (int i = 1; i <= 500; ++i) {
    const auto id = static_cast<uint32_t>(*service.vip.reals[i - 1].server_id);
    const auto frame = Quic(ShortHeader({0, uint8_t(id >> 16), uint8_t(id >> 8), uint8_t(id)}));
    ASSERT_EQ(RealOf(balancer_.SendFast(frame).out), Real4(i)) << i;
  }
}

TEST_P(QuicTest, VipsWithoutTheOptionAreNotTouched) {
  Service service = Make();
  service.vip.route_by_id = {};
  Serve(service);
  const auto before = balancer_.forwarder().ReadNotes();
  EXPECT_EQ(RealOfFrame(Quic(ShortHeader({0, 0x0b, 0x02}))), kA);
  EXPECT_EQ(balancer_.forwarder().ReadNotes(), before);
}

class TcpOptionTest : public RouteByIdTest {
 protected:
  TcpOptionTest() : RouteByIdTest(model::Protocol::kTcp) { route_.tcp_option = true; }
  Bytes Segment(uint8_t flags, const Bytes& options) const {
    return Frame(Tcp({.source = FlowPort(kFlow),
                      .destination = 443,
                      .flags = flags,
                      .options = Padded(options)}));
  }
};
INSTANTIATE_TEST_SUITE_P(Vips, TcpOptionTest, ::testing::Values("192.0.2.80", "2001:db8:5::80"));

TEST_P(TcpOptionTest, OptionAmongOthers) {
  Serve(Make());
  const Bytes sack = {5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4};
  const struct {
    const char* name;
    uint8_t flags;
    Bytes options;
    Way way;
    IpAddress by_id = kB;
  } kTable[] = {
      {"alone", kAck, Option(kIdB), kById},
      {"another real", kAck, Option(kIdC), kById, kC},
      {"with FIN", kFinAck, Option(kIdB), kById},
      {"behind timestamps", kAck, kTimestamps + Option(kIdB), kById},
      {"behind timestamps and SACK", kAck, kTimestamps + sack + Option(kIdB), kById},
      {"before others", kAck, Option(kIdB) + kTimestamps, kById},
      {"behind fifteen of one byte", kAck, Bytes(15, 1) + Option(kIdB), kById},
      {"farther than is looked", kAck, Bytes(16, 1) + Option(kIdB), kAbsent},
      {"without", kAck, {}, kAbsent},
      {"other options only", kAck, kTimestamps, kAbsent},
      {"unknown id", kAck, Option(0x12345), kUnknown},
      {"id of more bits", kAck, Option(0x10000 | kIdB), kUnknown},
      {"id 0", kAck, Option(0), kUnknown},
      {"another kind", kAck, {0xb8, 6, kIdB & 0xff, kIdB >> 8, 0, 0}, kAbsent},
      {"another length", kAck, {0xb7, 8, kIdB & 0xff, kIdB >> 8, 0, 0, 0, 0}, kAbsent},
      {"behind the end of options", kAck, Bytes{0} + Option(kIdB), kAbsent},
      {"behind an option of length 0", kAck, Bytes{8, 0} + Option(kIdB), kAbsent},
      {"behind an option of length 1", kAck, Bytes{8, 1} + Option(kIdB), kAbsent},
      {"behind an option beyond the header", kAck, Bytes{8, 200} + Option(kIdB), kAbsent},
      {"of a connection that is opened", kSyn, Option(kIdB), kOpens},
  };
  for (const auto& row : kTable) {
    SCOPED_TRACE(row.name);
    ExpectWay(Segment(row.flags, row.options), row.way, row.by_id);
  }
}

TEST_P(TcpOptionTest, OptionInThePayloadIsNone) {
  Serve(Make());
  const std::string payload = Text(Option(kIdB));
  ExpectWay(Frame(Tcp({.destination = 443, .flags = kAck}, payload)), kAbsent);
}

TEST_P(TcpOptionTest, HeaderThatIsCutOffNamesNobody) {
  Serve(Make());
  Bytes frame = Segment(kAck, Option(kIdB));
  const size_t tcp = frame.size() - 28;
  frame[tcp + 12] = 15 << 4;  // longer than the frame
  ExpectWay(frame, kById);
  frame = Segment(kAck, kTimestamps + Option(kIdB));
  frame[frame.size() - 40 + 12] = 8 << 4;  // ends with the timestamps
  ExpectWay(frame, kAbsent);
}

TEST_P(TcpOptionTest, KnownFlowLivesAsLongAsItsPacketsNameItsReal) {
  Serve(Make());
  Serve(To(Make(), 2));
  const auto with_id = Segment(kAck, Option(kIdB)), without = Segment(kAck, {});
  EXPECT_EQ(RealOfFrame(Segment(kSyn, {})), kB);
  for (int i = 0; i < 8; ++i) {
    balancer_.Pass(3000);  // idle for less than an hour at a time
    balancer_.Sweep();
    EXPECT_EQ(RealOfFrame(with_id), kB);
  }
  Serve(To(Make(), 1));
  EXPECT_EQ(RealOfFrame(without), kB);
  // A false id moves nobody.
  EXPECT_EQ(RealOfFrame(Segment(kAck, Option(kIdC))), kC);
  EXPECT_EQ(RealOfFrame(without), kB);
}

TEST_P(TcpOptionTest, FlowEndsByAPacketThatNamesItsReal) {
  Serve(Make());
  Serve(To(Make(), 2));
  EXPECT_EQ(RealOfFrame(Segment(kSyn, {})), kB);
  EXPECT_EQ(RealOfFrame(Segment(kFinAck, Option(kIdB))), kB);
  const auto flows = balancer_.forwarder().ListFlows(vip_, 10);
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_TRUE(flows[0].ended);
}

TEST(RouteByIdFeatureTest, ProgramWithoutItDoesNotLook) {
  Balancer balancer;
  const model::VipKey vip = {kVip4, 443, model::Protocol::kTcp};
  balancer.Serve({MakeService(vip, {kA}, model::Ring(256, 1))});
  const auto before = balancer.forwarder().ReadNotes();
  const auto frame =
      Ethernet({}, Ip({.source = kClient4, .destination = kVip4},
                      Tcp({.destination = 443, .flags = kAck, .options = Padded(Option(1))})));
  EXPECT_EQ(balancer.Send(frame).verdict, LB_FORWARD);
  EXPECT_EQ(balancer.forwarder().ReadNotes(), before);
}

}  // namespace
}  // namespace lb::testing
