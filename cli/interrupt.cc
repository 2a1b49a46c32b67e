// SPDX-License-Identifier: Apache-2.0
#include "cli/interrupt.h"

#include <algorithm>
#include <thread>

namespace lb::cli {
namespace {

constexpr std::chrono::milliseconds kGlance{50};

// A signal handler knows nothing but what is static. gRPC's threads may be the ones to run it, so
// that it cuts no sleep short: Sleep() looks.
volatile std::sig_atomic_t interrupted = 0;

}  // namespace

Interrupt::Interrupt() {
  interrupted = 0;
  struct sigaction once {};
  once.sa_handler = [](int) { interrupted = 1; };
  once.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &once, &on_int_);
  ::sigaction(SIGTERM, &once, &on_term_);
}

Interrupt::~Interrupt() {
  ::sigaction(SIGINT, &on_int_, nullptr);
  ::sigaction(SIGTERM, &on_term_, nullptr);
}

bool Interrupt::Sleep(std::chrono::milliseconds length) {
  const auto end = std::chrono::steady_clock::now() + length;
  while (interrupted == 0) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= left.zero()) return true;
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(left, kGlance));
  }
  return false;
}

}  // namespace lb::cli
