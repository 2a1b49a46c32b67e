// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lbd/model/flow_table.h"
#include "lbd/model/slots.h"
#include "lbd/model/vip.h"

namespace lb::model {

// What the configuration of a VIP, with its defaults, means for its slots and its flows.
SlotPolicy SlotPolicyOf(const Vip& vip);
FlowPolicy FlowPolicyOf(const Vip& vip);

}  // namespace lb::model
