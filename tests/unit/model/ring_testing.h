// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "lbd/base/siphash.h"
#include "lbd/model/limits.h"
#include "lbd/model/ring_builder.h"

namespace lb::model {

using Members = std::vector<RingMember>;

// 10.0.x.y for even numbers, 2001:db8::x:y for odd ones.
inline IpAddress AddressOf(int number) {
  IpAddress::Bytes bytes = {0x20, 0x01, 0x0d, 0xb8};
  if (number % 2 == 0) bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10};
  bytes[14] = static_cast<uint8_t>(number >> 8);
  bytes[15] = static_cast<uint8_t>(number);
  return IpAddress(bytes);
}

inline Members EqualMembers(int count, uint32_t weight = 100) {
  Members members;
  for (int i = 0; i < count; ++i) members.push_back({.address = AddressOf(i), .weight = weight});
  return members;
}

inline Members MixedMembers(int count) {
  constexpr uint32_t kWeights[] = {50, 100, 200, 400};
  Members members = EqualMembers(count);
  for (int i = 0; i < count; ++i) members[i].weight = kWeights[i % 4];
  return members;
}

inline Ring Build(RingScheme scheme, const Members& members, int bits) {
  return GetRingBuilder(scheme).BuildPrimary(members, bits);
}

// Slots per member; entry 0 is for nobody.
inline std::vector<size_t> Loads(const Ring& ring, const Members& members) {
  std::vector<size_t> loads(members.size() + 1, 0);
  for (uint16_t number : ring) ++loads.at(number);
  return loads;
}

// The share of member `i` of a ring, in slots.
inline double Share(size_t slots, const Members& members, size_t i,
                    const std::function<bool(const RingMember&)>& counts = {}) {
  double total = 0;
  for (const RingMember& member : members) total += !counts || counts(member) ? member.weight : 0;
  return static_cast<double>(slots) * members[i].weight / total;
}

// The owner of every slot; "::" is nobody.
inline std::vector<IpAddress> Owners(const Ring& ring, const Members& members) {
  std::vector<IpAddress> owners;
  for (uint16_t number : ring) {
    owners.push_back(number == 0 ? IpAddress() : members.at(number - 1).address);
  }
  return owners;
}

// The percentage of slots that moved between reals that are not in `changed`.
inline double ExcessMoves(const std::vector<IpAddress>& before, const std::vector<IpAddress>& after,
                          const std::set<IpAddress>& changed) {
  size_t moves = 0;
  for (size_t slot = 0; slot < before.size(); ++slot) {
    moves += before[slot] != after[slot] && !changed.contains(before[slot]) &&
             !changed.contains(after[slot]);
  }
  return 100.0 * static_cast<double>(moves) / static_cast<double>(before.size());
}

// A hash that tells whether any slot of a ring changed.
inline uint64_t Fingerprint(const Ring& ring) {
  std::vector<uint8_t> bytes;
  for (uint16_t number : ring) {
    bytes.push_back(static_cast<uint8_t>(number));
    bytes.push_back(static_cast<uint8_t>(number >> 8));
  }
  return SipHash24({}, bytes);
}

// A ring of up to 61 reals, one character per slot.
inline std::string Picture(const Ring& ring) {
  std::string picture;
  for (uint16_t number : ring) {
    picture += ".123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[number];
  }
  return picture;
}

inline uint32_t Draw(std::mt19937& random, uint32_t below) { return random() % below; }

// Reals of all kinds of weights (zero included), some of them unusable.
inline Members RandomMembers(std::mt19937& random, int max_count) {
  Members members = EqualMembers(1 + static_cast<int>(Draw(random, max_count)));
  for (RingMember& member : members) {
    const uint32_t kind = Draw(random, 8);
    member.weight = kind == 0   ? 0
                    : kind == 1 ? 1 + Draw(random, kMaxWeight)
                    : kind <= 4 ? 100
                                : 1 + Draw(random, 400);
    member.usable = Draw(random, 4) != 0;
  }
  return members;
}

}  // namespace lb::model
