// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "lbd/base/status.h"
#include "lbd/control/transaction.h"

namespace lb::control {

// The answers to the latest requests that had an id. Thread-compatible.
class RequestLog {
 public:
  static constexpr size_t kCapacity = 4096;

  // The answer to the request with this id, if there was one. INVALID_ARGUMENT where that asked for
  // something else.
  StatusOr<std::optional<Outcome>> Find(const std::string& id, uint64_t digest) const;
  // Requires an id that is not known.
  void Add(const std::string& id, uint64_t digest, Outcome outcome);

 private:
  struct Entry {
    uint64_t digest = 0;
    Outcome outcome;
  };

  std::map<std::string, Entry> entries_;
  std::deque<std::string> order_;
};

}  // namespace lb::control
