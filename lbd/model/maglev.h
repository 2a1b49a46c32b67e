// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "lbd/model/ring_builder.h"

namespace lb::model {

// Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer",
// NSDI 2016, section 3.4). Loads are equal to about 1 %, but every change of the configuration also
// moves slots between reals that did not change.
//
// Two changes to the paper: the table has 2^bits slots, every odd skip being coprime to that; and a
// real of weight w takes a turn in w of max(w) rounds, as in the second Maglev of Katran.
class MaglevBuilder final : public RingBuilder {
 public:
  Ring BuildPrimary(std::span<const RingMember> members, int bits) const override;
};

}  // namespace lb::model
