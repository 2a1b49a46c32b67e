// SPDX-License-Identifier: Apache-2.0
// Mutated packets through the loaded program. Whatever comes in: one verdict, which is counted;
// what does not leave is not changed; what leaves is well formed, with the packet that came inside.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "tests/bpf/balancer.h"
#include "tests/support/checksum.h"

namespace lb::testing {
namespace {

constexpr uint16_t kGuePort = 6080;
const std::vector<IpAddress> kReals = {Real4(1), Real6(2), Real4(3), Real6(4)};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

std::string TextOf(const Segment& segment) { return {segment.bytes.begin(), segment.bytes.end()}; }

// Frames of every kind that some stage looks at.
std::vector<Bytes> Corpus() {
  std::vector<Segment> packets;
  for (const bool v4 : {true, false}) {
    const IpHeader in = {.source = v4 ? kClient4 : kClient6, .destination = v4 ? kVip4 : kVip6};
    const IpHeader back = {.source = in.destination, .destination = in.source};
    const IpHeader host = {.source = in.source, .destination = v4 ? kHost4 : kHost6};
    const auto icmp = [&](uint8_t type4, uint8_t type6, std::string_view payload) {
      return v4 ? Icmp({.type = type4}, payload) : Icmp6({.type = type6}, payload);
    };
    const std::string quoted = TextOf(Ip(back, Tcp({.source = 80}, "payload")));
    for (const Segment& transport :
         {Tcp({}, "payload"), Udp({}, "payload"), Tcp({}, std::string(1500, 'x')),
          icmp(8, 128, "payload"), icmp(3, 2, quoted), icmp(11, 3, quoted)}) {
      packets.push_back(Ip(in, transport));
      packets.push_back(Ip(host, transport));
      packets.push_back(Ip(host, packets[packets.size() - 2]));  // in a tunnel that ends here
    }
    const Segment inner = Ip(in, Udp({.source = 9}, "payload"));
    packets.push_back(Ip(host, Udp({.destination = kGuePort}, TextOf(inner))));
    packets.push_back(
        Ip(host, Udp({.destination = kGuePort}, std::string("\0\x04\0\0", 4) + TextOf(inner))));
    for (uint16_t offset : {0, 3}) {
      IpHeader fragment = in;
      fragment.fragment = static_cast<uint16_t>(0x2000 | offset);
      packets.push_back(v4 ? Ip(fragment, Udp({}, "a piece"))
                           : Ip(in, Fragment6(1, offset, true, Udp({}, "a piece"))));
    }
  }
  packets.push_back(
      Ip({.source = kClient4, .destination = kVip4, .options = Bytes(40, 1)}, Tcp({})));
  packets.push_back(Ip({.source = kClient6, .destination = kVip6},
                       Extension(0, Extension(43, Extension(60, Tcp({}, "payload"), 2)))));
  std::vector<Bytes> frames;
  for (const Segment& packet : packets) {
    frames.push_back(Ethernet({}, packet));
    frames.push_back(Ethernet({.padding = 6}, packet));
    frames.push_back(Tagged(frames.back(), {0x8100'0064}));
    frames.push_back(Tagged(frames.back(), {0x88a8'0007}));
  }
  return frames;
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed), corpus_(Corpus()) {}

  Bytes Next() {
    Bytes frame = corpus_[Below(corpus_.size())];
    for (size_t changes = Below(4); changes > 0; --changes) Change(frame);
    frame.resize(std::clamp<size_t>(frame.size(), 14, 3000));
    return frame;
  }

 private:
  size_t Below(size_t count) { return random_() % count; }

  // Headers are what is looked at.
  size_t Place(const Bytes& frame) {
    return Below(Below(4) == 0 ? frame.size() : std::min<size_t>(frame.size(), 110));
  }

  void Change(Bytes& frame) {
    if (frame.size() < 15) return;
    const size_t at = Place(frame);
    const auto here = frame.begin() + static_cast<ptrdiff_t>(at);
    constexpr uint8_t kTelling[] = {0,  1,    4,    5,    6,    17,   41,   44,  58,
                                    60, 0x45, 0x46, 0x60, 0x7f, 0x80, 0x81, 0xff};
    switch (Below(8)) {
      case 0:
        frame[at] = static_cast<uint8_t>(random_());
        break;
      case 1:
        frame[at] = kTelling[Below(std::size(kTelling))];
        break;
      case 2:
        frame.resize(14 + Below(frame.size() - 13));
        break;
      case 3:
        frame.insert(here, 4 * (1 + Below(10)), static_cast<uint8_t>(Below(3)));
        break;
      case 4:
        frame.erase(here, here + static_cast<ptrdiff_t>(std::min(Below(40), frame.size() - at)));
        break;
      case 5: {
        const Bytes& other = corpus_[Below(corpus_.size())];
        const size_t from = Place(other);
        const size_t count = std::min({Below(60), other.size() - from, frame.size() - at});
        std::copy_n(other.begin() + static_cast<ptrdiff_t>(from), count, here);
        break;
      }
      default:
        frame[at] ^= static_cast<uint8_t>(1 << Below(8));
    }
  }

  std::mt19937_64 random_;
  std::vector<Bytes> corpus_;
};

uint16_t Word(const Bytes& frame, size_t at) {
  return static_cast<uint16_t>(frame.at(at) << 8 | frame.at(at + 1));
}

// Bytes of the Ethernet header with the tags that are understood.
size_t HeaderLengthOf(const Bytes& frame) {
  size_t length = 14;
  while (length < 22 && frame.size() >= length + 4 &&
         (Word(frame, length - 2) == 0x8100 || Word(frame, length - 2) == 0x88a8)) {
    length += 4;
  }
  return length;
}

std::span<const uint8_t> From(const Bytes& frame, size_t at) {
  return std::span(frame).subspan(at);
}

bool TagsAreKept(const Bytes& in, const Bytes& out, size_t ethernet) {
  return std::equal(in.begin() + 12, in.begin() + static_cast<ptrdiff_t>(ethernet - 2),
                    out.begin() + 12);
}

// The message of an answer of ours, with its IP header's checksum where it has one.
bool AnswerHolds(const Bytes& out, size_t ip) {
  if (out[ip] >> 4 == 4) {
    const size_t header = (out[ip] & 15) * 4u;
    const size_t length = Word(out, ip + 2);
    return InternetSum().Add(From(out, ip).first(header)).holds() &&
           InternetSum().Add(From(out, ip).first(length).subspan(header)).holds();
  }
  const auto message = From(out, ip + 40).first(Word(out, ip + 4));
  return InternetSum()
      .Add(From(out, ip + 8).first(32))
      .Add(static_cast<uint16_t>(message.size()))
      .Add(uint16_t{58})
      .Add(message)
      .holds();
}

// What left for a real: one outer header, sound to the last bit, and behind it what had come.
std::string WrongWithForwarded(const Bytes& in, const Bytes& out) {
  const size_t ethernet = HeaderLengthOf(in);
  if (!TagsAreKept(in, out, ethernet)) return "other VLAN tags";
  const bool v4 = Word(out, ethernet - 2) == 0x0800;
  const size_t outer = v4 ? 20 : 40;
  const size_t inner = ethernet + outer;
  if (out.size() <= inner + 20) return "too short";
  const size_t carried = v4 ? Word(out, ethernet + 2) - 20u : Word(out, ethernet + 4);
  if (inner + carried > out.size()) return "the outer header says more than the frame has";
  const uint8_t protocol = out[ethernet + (v4 ? 9 : 6)];
  const uint8_t version = out[inner] >> 4;
  if (protocol != (version == 4 ? 4 : 41)) return "protocol of the outer header";
  const size_t length = version == 4 ? Word(out, inner + 2) : 40u + Word(out, inner + 4);
  if (length != carried) return "lengths of outer and inner packet";
  if (v4 && out[ethernet] != 0x45) return "outer version";
  if (v4 && !InternetSum().Add(From(out, ethernet).first(20)).holds()) return "outer checksum";
  if (!v4 && out[ethernet] >> 4 != 6) return "outer version";
  const auto at = static_cast<ptrdiff_t>(ethernet + (v4 ? 16 : 24));
  const Bytes real(out.begin() + at, out.begin() + at + (v4 ? 4 : 16));
  if (std::ranges::count(kReals, IpAddress::FromBytes(real).value()) == 0)
    return "outer destination";
  const size_t rest = out.size() - inner;
  if (rest > in.size() - ethernet ||
      !std::equal(out.begin() + static_cast<ptrdiff_t>(inner), out.end(),
                  in.end() - static_cast<ptrdiff_t>(rest))) {
    return "the inner packet was changed";
  }
  return "";
}

std::string WrongWith(const Bytes& in, const Outcome& outcome) {
  const size_t ethernet = HeaderLengthOf(in);
  switch (outcome.verdict) {
    case LB_FORWARD:
      return WrongWithForwarded(in, outcome.out);
    case LB_TOO_BIG_REPLY:
      if (!TagsAreKept(in, outcome.out, ethernet)) return "other VLAN tags";
      return AnswerHolds(outcome.out, ethernet) ? "" : "checksums of the answer";
    case LB_ECHO_REPLY: {
      if (outcome.out.size() > in.size()) return "the answer is longer";
      // Of a request in a tunnel there is nothing to compare with.
      const bool sound = outcome.out.size() == in.size() && AnswerHolds(in, ethernet);
      return !sound || AnswerHolds(outcome.out, ethernet) ? "" : "checksums of the answer";
    }
    default:
      return "";  // not changed: Send() has looked
  }
}

TEST(PacketFuzz, NoPacketBreaksAnInvariant) {
  model::Settings settings;
  settings.decap = {.addresses = {kHost4, kHost6}, .gue_port = kGuePort};
  settings.icmp.too_big_per_second = 1'000'000;
  Balancer balancer(settings);
  Services services;
  for (const IpAddress& vip : {kVip4, kVip6}) {
    services.push_back(MakeService({vip, 80, model::Protocol::kTcp}, kReals));
    services.push_back(MakeService({vip, 0, model::Protocol::kUdp}, kReals));
    services.back().vip.fragments = model::Fragments::kByAddress;
  }
  services.front().vip.tracking = model::Tracking::kAlways;
  balancer.Serve(services);

  const uint64_t packets = FromEnvironment("LB_FUZZ_PACKETS", 100000);
  const uint64_t seed = FromEnvironment("LB_FUZZ_SEED", 1);
  Mutator mutator(seed);
  const Verdicts before = balancer.forwarder().ReadVerdicts();
  for (uint64_t i = 0; i < packets; ++i) {
    const Bytes frame = mutator.Next();
    const Outcome outcome = balancer.Send(frame);
    ASSERT_LT(outcome.verdict, LB_VERDICT_COUNT);
    const std::string wrong = WrongWith(frame, outcome);
    ASSERT_EQ(wrong, "") << NameOf(outcome.verdict) << ", packet " << i << " of seed " << seed
                         << "\n"
                         << SameBytes(frame, outcome.out).message();
    ASSERT_FALSE(HasFailure()) << "packet " << i << " of seed " << seed;
  }
  const Verdicts after = balancer.forwarder().ReadVerdicts();
  uint64_t counted = 0;
  for (size_t verdict = 0; verdict < after.size(); ++verdict) {
    const uint64_t count = after[verdict] - before[verdict];
    counted += count;
    std::printf("%-14s %lu\n", std::string(NameOf(static_cast<lb_verdict>(verdict))).c_str(),
                count);
  }
  EXPECT_EQ(counted, packets);
  // The control: mutations that only ever end in one verdict would test little.
  for (const lb_verdict verdict :
       {LB_FORWARD, LB_TOO_BIG_REPLY, LB_ECHO_REPLY, LB_NOT_IP, LB_NOT_VIP, LB_TRUNCATED,
        LB_BAD_HEADER, LB_BAD_LENGTH, LB_FRAGMENT, LB_TTL_EXPIRED}) {
    EXPECT_GT(after[verdict], before[verdict]) << NameOf(verdict);
  }
}

}  // namespace
}  // namespace lb::testing
