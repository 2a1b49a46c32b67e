// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace lb::config {

// A place in a text; both count from 1.
struct Position {
  int line = 1;
  int column = 1;
  bool operator==(const Position&) const = default;
};

}  // namespace lb::config
