// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "lbd/health/time.h"

namespace lb::health {

// Where frames go out.
class Wire {
 public:
  virtual ~Wire() = default;

  // Room for one frame that leaves by this interface; empty: there is none at the moment.
  virtual std::span<uint8_t> Reserve(int ifindex) = 0;
  // Sends the first `size` bytes of what Reserve() gave; 0: nothing after all.
  virtual void Commit(size_t size) = 0;
  // Why nothing can be sent by this interface, or answers not be seen; empty: it works.
  virtual std::string Problem(int ifindex) const = 0;
  // Why many of the answers that came lately were not seen; empty: all were, or nearly all.
  virtual std::string Loss(Time now) = 0;
};

}  // namespace lb::health
