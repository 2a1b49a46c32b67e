// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "lbd/model/ring_builder.h"

namespace lb::model {

// Capped clocked rendezvous (see clock_matching.h): a change of the configuration moves the slots
// that must move and few others. No real owns more than 3 % (and one slot) over its share.
class RendezvousBuilder final : public RingBuilder {
 public:
  Ring BuildPrimary(std::span<const RingMember> members, int bits) const override;
};

}  // namespace lb::model
