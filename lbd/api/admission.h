// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "lbd/base/mutex.h"
#include "lbd/base/status.h"

namespace lb::api {

// How much each peer may ask for. Thread-safe.
class Admission {
 public:
  static constexpr int kMaxCalls = 64;       // under way at once, streams included
  static constexpr double kRate = 5000;      // calls a second, over time
  static constexpr double kBurst = 10000;    // and at once
  static constexpr size_t kMaxPeers = 1024;  // that are remembered

  using Clock = std::chrono::steady_clock;

  // RESOURCE_EXHAUSTED where the peer has to wait; else Leave() must follow.
  Status Enter(const std::string& peer, Clock::time_point now);
  void Leave(const std::string& peer);

 private:
  struct Account {
    int calls = 0;
    double tokens = kBurst;
    Clock::time_point updated;
  };

  Mutex mutex_;
  std::map<std::string, Account> accounts_ LB_GUARDED_BY(mutex_);
};

}  // namespace lb::api
