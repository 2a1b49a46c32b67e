// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace lb::dataplane {

// Returns when every run of an XDP program that was under way at the call has ended: what was
// stored before is in force on every CPU, and what nothing points to any more can be used again.
// Takes about 10 ms (one RCU grace period).
void WaitForGracePeriod();

}  // namespace lb::dataplane
