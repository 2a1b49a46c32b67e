// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lbd/model/ring_builder.h"
#include "lbd/model/vip.h"

namespace lb::model {

// The share, 0..1, of the slots of `vip` that lead to another address in `after` than in `before`.
// Rings of different sizes are compared slot by slot of the larger one.
double MovedShare(const Vip& before, const Ring& ring_before, const Vip& after,
                  const Ring& ring_after);

}  // namespace lb::model
