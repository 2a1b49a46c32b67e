// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/request_log.h"

#include <fmt/format.h>

#include <utility>

namespace lb::control {

StatusOr<std::optional<Outcome>> RequestLog::Find(const std::string& id, uint64_t digest) const {
  const auto it = entries_.find(id);
  if (id.empty() || it == entries_.end()) return std::optional<Outcome>();
  if (it->second.digest != digest) {
    return InvalidArgument(fmt::format(
        "options.request_id: \"{}\" was used for another request; choose a new one", id));
  }
  return std::optional<Outcome>(it->second.outcome);
}

void RequestLog::Add(const std::string& id, uint64_t digest, Outcome outcome) {
  if (id.empty() || !entries_.try_emplace(id, Entry{digest, std::move(outcome)}).second) return;
  order_.push_back(id);
  if (order_.size() <= kCapacity) return;
  entries_.erase(order_.front());
  order_.pop_front();
}

}  // namespace lb::control
