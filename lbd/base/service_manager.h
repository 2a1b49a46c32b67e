// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace lb {

// What systemd wants to hear of a service with Type=notify (sd_notify(3)): datagrams to the socket
// that the environment names. Without one nothing is sent. Thread-safe.
class ServiceManager {
 public:
  // Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
  static ServiceManager FromEnvironment();

  void Ready(std::string_view status) const;
  void Reloading() const;
  void Stopping() const;
  // One line for people: systemctl status shows it.
  void Status(std::string_view status) const;
  void Watchdog() const;

  // How often Watchdog() must be called at least; empty: nobody waits for it.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

 private:
  void Send(const std::string& message) const;

  std::string socket_;
  std::optional<std::chrono::microseconds> watchdog_;
};

}  // namespace lb
