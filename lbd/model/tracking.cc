// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/tracking.h"

namespace lb::model {
namespace {

// A Maglev ring moves slots of reals that have not changed.
bool IsAlways(const Vip& vip) {
  return vip.tracking == Tracking::kAlways ||
         (vip.tracking == Tracking::kAuto && vip.ring.scheme == RingScheme::kMaglev);
}

bool IsTcp(const Vip& vip) { return vip.key.Serves(Protocol::kTcp); }

}  // namespace

SlotPolicy SlotPolicyOf(const Vip& vip) {
  return {.window = vip.flows.window.value_or(IsTcp(vip) ? 900 : 60),
          .track = vip.tracking != Tracking::kNone,
          .always = IsAlways(vip)};
}

FlowPolicy FlowPolicyOf(const Vip& vip) {
  return {.idle = vip.flows.idle.value_or(IsTcp(vip) ? 3600 : 120), .always = IsAlways(vip)};
}

}  // namespace lb::model
