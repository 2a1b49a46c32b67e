// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <csignal>

namespace lb::cli {

// While it lives, the first Ctrl-C (or SIGTERM) ends a sleep instead of the process; the second
// ends the process as ever. One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // False: interrupted, now or before.
  bool Sleep(std::chrono::milliseconds length);

 private:
  struct sigaction on_int_ {};
  struct sigaction on_term_ {};
};

}  // namespace lb::cli
