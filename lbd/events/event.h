// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace lb::events {

enum class Kind : uint8_t {
  kConfig,   // another configuration is in force, or waits to be confirmed
  kHealth,   // a real was found to serve, or not to
  kDrain,    // a drain starts or ends
  kNextHop,  // packets to a real leave another way, or find none
  kAttach,   // the program of an interface, or its link, changed
  kWarning,  // what an operator should know came up, or is over
};

// Something that happened. `object` is what it happened to ("192.0.2.1:80/tcp real 10.0.0.1",
// "eth0"), empty for lbd as a whole; `message` says what, in one line or, for kConfig, one a
// change.
struct Event {
  Kind kind = Kind::kWarning;
  std::string object;
  std::string message;
  uint64_t generation = 0;  // of the configuration, for kConfig; else 0
  // Given by the hub:
  uint64_t sequence = 0;  // grows by one with each event, and by a leap with each start of lbd
  std::chrono::system_clock::time_point time;

  bool operator==(const Event&) const = default;
};

}  // namespace lb::events
