// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "lbd/model/ring_builder.h"

namespace lb::model {

// A member that may be given slots.
struct Contender {
  const RingMember* member = nullptr;  // of positive weight
  uint16_t number = 0;                 // what the ring says of its slots
  uint32_t owned = 0;                  // slots that it has already
};

// Gives every slot of `ring` that is 0 to a contender by capped clocked rendezvous.
//
// Each real visits all M = 2^k slots in the order of its own pseudo-random permutation, its visit
// number r at the time -ln(1 - (r + 1/2) / M) / weight. A slot goes to its first visitor that has
// room. This is weighted rendezvous hashing (Thaler and Ravishankar, 1998) with the scores of a
// real drawn without replacement, which evens the loads, and found by walking the clocks forward:
// O(M ln M) visits for any number of reals, instead of one score per slot and real.
//
// Room is 3 % over the fair share of the ring, so that the result is the one stable matching of
// slots and reals under a common score (as in Gale and Shapley): it depends neither on the order
// of the reals nor on history, and there is always room for all slots.
void FillFreeSlots(std::span<const Contender> contenders, Ring& ring);

}  // namespace lb::model
