// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/admission.h"

#include <fmt/format.h>

#include <algorithm>

namespace lb::api {

Status Admission::Enter(const std::string& peer, Clock::time_point now) {
  const MutexLock lock(mutex_);
  if (accounts_.size() >= kMaxPeers && !accounts_.contains(peer)) {
    std::erase_if(accounts_, [](const auto& item) { return item.second.calls == 0; });
  }
  const auto [it, fresh] = accounts_.try_emplace(peer, Account{.updated = now});
  Account& account = it->second;
  const std::chrono::duration<double> passed = now - account.updated;
  account.tokens = std::min(kBurst, account.tokens + kRate * passed.count());
  account.updated = now;
  if (account.calls >= kMaxCalls) {
    return ResourceExhausted(
        fmt::format("{} has {} calls under way, which is all that it may have", peer, kMaxCalls));
  }
  if (account.tokens < 1) {
    return ResourceExhausted(fmt::format("{} makes more than {} calls a second", peer, kRate));
  }
  account.tokens -= 1;
  ++account.calls;
  return OkStatus();
}

void Admission::Leave(const std::string& peer) {
  const MutexLock lock(mutex_);
  --accounts_.at(peer).calls;
}

}  // namespace lb::api
