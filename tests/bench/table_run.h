// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lbd/base/status.h"
#include "tests/bench/result.h"

namespace lb::bench {

// One table of flows, remembering every flow of the traffic.
struct TableResult {
  Result time;
  double bytes_per_flow = 0;  // of the kernel's memory, for which there is room
  double missed_percent = 0;  // of the packets of known flows
};

// CPU time per packet of a program that only remembers flows, by table; the first one has none.
StatusOr<std::vector<TableResult>> MeasureTables(uint32_t flows, int runs);

std::string TableHead();
std::string TableRow(const TableResult& result, const TableResult& none);

}  // namespace lb::bench
