// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"

namespace lb::api {

// A bound socket: who connects is refused until an Acceptor listens on it.
struct Listener {
  UniqueFd fd;
  std::string path;  // of a Unix socket; empty: TCP
};

// Unix: its directory is created, a socket that nobody serves any more is replaced; owner and
// `group` may connect.
StatusOr<Listener> BindUnix(const std::string& path, gid_t group);
// TCP on "127.0.0.1:PORT" or "[::1]:PORT", and no other address: who connects is not known.
StatusOr<Listener> BindLoopback(const std::string& address);

// Accepts connections in a thread of its own, so many at a time and no more: others are closed at
// once. Each gets a number that was not in use for a long time.
class Acceptor {
 public:
  static constexpr size_t kMaxConnections = 512;

  struct Callbacks {
    // Serves the connection and owns it from now on; false: it was closed.
    std::function<bool(int fd, bool is_unix)> opened;
    std::function<void(int fd)> closed;
  };
  static StatusOr<std::unique_ptr<Acceptor>> Start(std::vector<Listener> listeners,
                                                   Callbacks callbacks);
  // Stops accepting; connections that are open stay.
  ~Acceptor();

 private:
  Acceptor(std::vector<Listener> listeners, Callbacks callbacks, UniqueFd epoll, UniqueFd stop);

  void Run();
  void Accept(const Listener& listener);
  // `fd` under another number.
  UniqueFd Renumber(UniqueFd fd);

  std::vector<Listener> listeners_;
  Callbacks callbacks_;
  UniqueFd epoll_;
  UniqueFd stop_;
  std::map<int, int> open_;  // our own descriptor of each connection -> the number that it has
  std::vector<UniqueFd> own_;
  int next_number_;
  std::thread thread_;  // last: runs while everything above lives
};

}  // namespace lb::api
