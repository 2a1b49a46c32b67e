// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tracking_fuzz.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace lb::testing {
namespace {

using model::RealState;

constexpr uint32_t kSweepSeconds = 5;
constexpr uint32_t kClosingSeconds = 30;

struct Connection {
  std::optional<IpAddress> real;
  uint32_t next_packet = 0;  // when
  uint32_t ends = 0;         // when it sends its FIN or RST, or falls silent
  uint32_t closed = 0;       // when it did; 0 = not yet
  bool opening = true;       // the handshake is not over: the last SYN counts
};

class Fuzzer {
 public:
  Fuzzer(TrackedVip& vip, const FuzzOptions& options)
      : vip_(vip), options_(options), random_(options.seed) {
    config_.key = {.address = IpAddress::Parse("192.0.2.80").value(),
                   .port = 80,
                   .protocol = options.udp ? model::Protocol::kUdp : model::Protocol::kTcp};
    config_.flows.window = options.max_gap + 1;
    config_.flows.idle = 3600;
    for (int i = 0; i < options.reals; ++i) AddReal(i);
  }

  FuzzResult Run() {
    Configure();
    for (int step = 0; step < options_.steps; ++step) {
      if (Percent(options_.change_percent)) Change();
      if (Percent(options_.restart_percent)) Restart();
      const uint32_t opening =
          Draw(2 + options_.flows / 20) + (Percent(options_.storm_percent) ? options_.flows : 0);
      for (uint32_t i = 0; i < opening && connections_.size() < 2 * options_.flows; ++i) Open();
      const uint32_t until = now_ + 1 + Draw(10);
      while (now_ < until) Second();
    }
    result_.refusals = vip_.refusals();
    result_.pure = EndsPure();
    return result_;
  }

 private:
  uint32_t Draw(uint32_t below) { return random_() % below; }
  bool Percent(int chance) { return Draw(100) < static_cast<uint32_t>(chance); }

  static IpAddress AddressOf(int number) {
    return IpAddress::Parse(number % 2 == 0 ? fmt::format("10.1.0.{}", number)
                                            : fmt::format("2001:db8:a::{:x}", number))
        .value();
  }
  void AddReal(int number) {
    config_.reals.push_back({.address = AddressOf(number), .weight = 50 + Draw(4) * 50});
  }

  model::Real* RandomReal() {
    return config_.reals.empty() ? nullptr : &config_.reals[Draw(config_.reals.size())];
  }

  // One change of the configuration or of the health of reals, now and then two at once.
  void Change() {
    ++result_.changes;
    do {
      model::Real* real = RandomReal();
      switch (Draw(8)) {
        case 0:
        case 1:
        case 2:  // health
          if (real != nullptr) {
            real->state = real->state == RealState::kDown ? RealState::kActive : RealState::kDown;
          }
          break;
        case 3:
          if (real != nullptr) {
            real->state =
                real->state == RealState::kDraining ? RealState::kActive : RealState::kDraining;
          }
          break;
        case 4:
          if (real != nullptr) real->weight = Draw(5) * 50;
          break;
        case 5: {
          const int number = static_cast<int>(Draw(16));
          if (config_.FindReal(AddressOf(number)) == nullptr &&
              config_.reals.size() < 2 * static_cast<size_t>(options_.reals)) {
            AddReal(number);
          }
          break;
        }
        case 6:
          if (config_.reals.size() > 2) Remove(real->address);
          break;
        default:
          for (model::Real& each : config_.reals) {
            if (Percent(70)) each.state = RealState::kActive;
          }
          bits_ = options_.ring_bits + static_cast<int>(Draw(options_.more_bits + 1));
      }
    } while (Percent(30));
    std::ranges::shuffle(config_.reals, random_);
    if (options_.udp) {
      for (const model::Real& real : config_.reals) {
        if (real.state == RealState::kDown) Forget(real.address);
      }
    }
    Configure();
  }

  void Remove(IpAddress address) {
    std::erase_if(config_.reals, [&](const auto& real) { return real.address == address; });
    Forget(address);
  }

  void Forget(const IpAddress& real) {
    std::erase_if(connections_, [&](const auto& item) { return item.second.real == real; });
  }

  std::shared_ptr<const model::Ring> RingOf() const {
    std::vector<model::RingMember> members;
    for (const model::Real& real : config_.reals) {
      members.push_back({real.address, real.weight, real.state == RealState::kActive});
    }
    const auto& builder = model::GetRingBuilder(model::RingScheme::kRendezvous);
    return std::make_shared<const model::Ring>(
        model::OverlayHealth(builder.BuildPrimary(members, bits_), members));
  }

  void Configure() { vip_.Configure(config_, RingOf()); }

  void Restart() {
    ++result_.restarts;
    vip_.Restart([&] {
      for (uint32_t i = 0; i < options_.flows / 50; ++i) Open();
    });
  }

  std::optional<IpAddress> Send(uint32_t flow, lb_flow_event event) {
    ++result_.packets;
    if (!options_.record && event == LB_FLOW_DATA) event = LB_FLOW_LOOKUP;
    return vip_.Send(flow, event);
  }

  // A new connection, perhaps with the addresses and ports of one that is or was there.
  void Open() {
    const uint32_t tuple = Draw(options_.tuples);
    if (options_.udp && connections_.contains(tuple)) return;
    Connection connection;
    connection.real = Send(tuple, options_.udp ? LB_FLOW_DATA : LB_FLOW_OPEN);
    connections_.erase(tuple);
    if (!connection.real) return;
    ++result_.flows;
    connection.opening = !options_.udp;
    connection.next_packet = now_ + Draw(connection.opening ? 3 : options_.max_gap);
    connection.ends = now_ + (Percent(70) ? Draw(60) : Draw(1500));
    connections_[tuple] = connection;
  }

  void Second() {
    vip_.Pass(1);
    ++now_;
    for (auto it = connections_.begin(); it != connections_.end();) {
      auto& [tuple, connection] = *it;
      const bool lives = connection.next_packet > now_ || Packet(tuple, connection);
      it = lives ? std::next(it) : connections_.erase(it);
    }
    if (now_ % kSweepSeconds == 0) Sweep();
  }

  // False when the connection is over.
  bool Packet(uint32_t tuple, Connection& connection) {
    if (connection.opening && Percent(30)) {  // the SYN once more
      connection.real = Send(tuple, LB_FLOW_OPEN);
      connection.next_packet = now_ + 1 + Draw(3);
      return connection.real.has_value();
    }
    connection.opening = false;
    const bool ends = connection.closed == 0 && now_ >= connection.ends;
    if (ends && Percent(30)) return false;  // silently
    const lb_flow_event event = ends && !options_.udp ? LB_FLOW_END : LB_FLOW_DATA;
    if (const auto real = Send(tuple, event); real != connection.real) {
      ++result_.broken;
      Report(tuple, connection, fmt::format("sent to {}", Name(real)));
      return false;
    }
    if (ends) connection.closed = now_;
    if (connection.closed != 0) {
      connection.next_packet = now_ + 1 + Draw(kClosingSeconds);
      return !Percent(40);
    }
    connection.next_packet = now_ + 1 + Draw(options_.max_gap);
    return true;
  }

  void Sweep() {
    std::erase_if(connections_, [&](const auto& item) {
      const auto& [tuple, connection] = item;
      const model::Real* real = config_.FindReal(*connection.real);
      const bool excused = real->state == RealState::kDown && vip_.StandingOf(tuple).refused;
      result_.excused += excused;
      return excused;
    });
    if (!options_.defer_flips) vip_.ForgetRefusals();
    vip_.Sweep();
    Check();
  }

  void Check() {
    for (const auto& [tuple, connection] : connections_) {
      const TrackedVip::Standing standing = vip_.StandingOf(tuple);
      const auto& says = standing.entry && standing.tracked ? standing.entry : standing.old;
      if (says == connection.real) continue;
      ++result_.violations;
      Report(tuple, connection, fmt::format("would go to {}", Name(says)));
    }
    if (const size_t stray = vip_.StrayEntries(); stray > 0) {
      result_.violations += stray;
      if (result_.first.empty()) result_.first = fmt::format("{} stray entries", stray);
    }
  }

  void Report(uint32_t tuple, const Connection& connection, const std::string& what) {
    if (!result_.first.empty()) return;
    const TrackedVip::Standing standing = vip_.StandingOf(tuple);
    result_.first = fmt::format(
        "seed {} second {} flow {}: of {} ({}), {}; its slot: old {}, entry {}, {}", options_.seed,
        now_, tuple, Name(connection.real),
        std::string(ToString(config_.FindReal(*connection.real)->state)), what, Name(standing.old),
        Name(standing.entry), standing.tracked ? "tracked" : "stable");
  }

  static std::string Name(const std::optional<IpAddress>& real) {
    return real ? real->ToString() : "none";
  }

  // Whatever happened: once all windows are over and all flows forgotten, the ring is the one of
  // the configuration.
  bool EndsPure() {
    connections_.clear();
    for (int i = 0; i < 16; ++i) {
      vip_.Pass(600);
      vip_.Sweep();
    }
    const auto owners = vip_.StableOwners();
    const auto ring = RingOf();
    if (owners.size() != ring->size()) {
      result_.first = fmt::format("{} stable slots of {} in the end", owners.size(), ring->size());
      return false;
    }
    for (size_t slot = 0; slot < owners.size(); ++slot) {
      std::optional<IpAddress> owner;
      if ((*ring)[slot] != 0) owner = config_.reals.at((*ring)[slot] - 1).address;
      if (owners[slot] == owner) continue;
      result_.first = fmt::format("in the end slot {} belongs to {} instead of {}", slot,
                                  Name(owners[slot]), Name(owner));
      return false;
    }
    return true;
  }

  TrackedVip& vip_;
  FuzzOptions options_;
  std::mt19937 random_;
  model::Vip config_;
  int bits_ = options_.ring_bits;
  uint32_t now_ = 0;
  std::map<uint32_t, Connection> connections_;  // by tuple
  FuzzResult result_;
};

}  // namespace

std::string FuzzResult::ToString() const {
  return fmt::format(
      "flows={} packets={} changes={} restarts={} refusals={} excused={} broken={} violations={} "
      "pure={}{}{}",
      flows, packets, changes, restarts, refusals, excused, broken, violations, pure,
      first.empty() ? "" : "; first: ", first);
}

FuzzResult Fuzz(TrackedVip& vip, const FuzzOptions& options) { return Fuzzer(vip, options).Run(); }

}  // namespace lb::testing
