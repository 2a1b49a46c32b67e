// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/output.h"
#include "lb/v1/load_balancer_service.pb.h"

namespace lb::cli {

// What top shows of each VIP and real, and by what it sorts.
enum class TopColumn : uint8_t { kPackets, kBits, kConnections, kDrops, kFlows, kName };

struct TopState {
  TopColumn sort = TopColumn::kPackets;
  int selected = 0;  // row
  int scroll = 0;    // first row that is shown
  std::string vip;   // drilled down to; empty: all VIPs
  bool paused = false;
  bool totals = false;  // counts since the start, not rates
};

// A look at lbd.
struct TopSample {
  v1::GetStatsResponse stats;
  v1::GetStatusResponse status;
  v1::GetHealthResponse health;  // brief: a real that is not in it is up
  std::chrono::steady_clock::time_point at;
};

struct TopRow {
  std::string name;
  uint64_t packets = 0;
  uint64_t bytes = 0;
  uint64_t connections = 0;
  uint64_t dropped = 0;
  uint64_t flows = 0;
  uint64_t flow_capacity = 0;  // of a VIP's part of the flow table; 0: it has none now
  double packet_rate = 0;
  double bit_rate = 0;
  double connection_rate = 0;
  double drop_rate = 0;
  std::string health;  // of a VIP "2/3", of a real "down"
  Colour colour = Colour::kNone;
};

// The rows under the head: VIPs, or the reals of one, sorted.
std::vector<TopRow> TopRows(const TopSample& before, const TopSample& now, const TopState& state);

struct TopLine {
  std::string text;
  Colour colour = Colour::kNone;
  bool selected = false;
};

// A page of `width` x `height` characters: exactly `height` lines, or as many as there are where
// that is 0.
std::vector<TopLine> DrawTop(const TopSample& before, const TopSample& now, TopState& state,
                             int width, int height);

// What a key does; false: leave.
bool OnTopKey(int key, int rows, const std::string& selected_name, TopState& state);

std::string HumanRate(double per_second);  // "0", "12", "3.4k", "1.2M"

}  // namespace lb::cli
