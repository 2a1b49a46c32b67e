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

// Who may be at the other end of a connection.
enum class Transport : uint8_t {
  kUnix,      // a process that the kernel names
  kLoopback,  // any process of this host
  kTls,       // who has a certificate
};

// A bound socket: who connects is refused until an Acceptor listens on it.
struct Listener {
  UniqueFd fd;
  Transport transport = Transport::kUnix;
  std::string path;  // of a Unix socket
};

// The path in "unix:/run/lbd/lbd.sock".
StatusOr<std::string> UnixPath(const std::string& listen);

enum class SocketPath : uint8_t {
  kFree,    // nothing is there
  kStale,   // a socket that nobody serves any more
  kServed,  // one that somebody does
  kTaken,   // something else
};
SocketPath LookAt(const std::string& path);

// Unix: its directory is created, a socket that nobody serves any more is replaced; owner and
// `group` may connect.
StatusOr<Listener> BindUnix(const std::string& path, gid_t group);
// TCP on "127.0.0.1:7443" or "[::]:7443". Without TLS it must be 127.0.0.1 or [::1], as nobody
// knows who connects.
StatusOr<Listener> BindTcp(const std::string& address, Transport transport);

// Accepts connections in a thread of its own, so many at a time and no more: others are closed at
// once. Each gets a number that was not in use for a long time.
class Acceptor {
 public:
  static constexpr size_t kMaxConnections = 256;
  static constexpr size_t kMaxPerOrigin = 32;  // of one user of this host, of one address elsewhere

  struct Callbacks {
    // Serves the connection and owns it from now on; false: it is to be closed.
    std::function<bool(int fd, Transport transport)> opened;
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
  void Take(UniqueFd fd, const Listener& listener);
  // Whether one more may come from there.
  bool HasRoom(const std::string& origin) const;
  void Closed(int own);
  // `fd` under another number.
  UniqueFd Renumber(UniqueFd fd);

  std::vector<Listener> listeners_;
  Callbacks callbacks_;
  UniqueFd epoll_;
  UniqueFd stop_;
  struct Connection {
    UniqueFd own;    // our own descriptor of it
    int number = 0;  // of the one that is served
    std::string origin;
  };

  std::map<int, Connection> open_;  // by our own descriptor
  std::map<std::string, size_t> per_origin_;
  int next_number_;
  std::thread thread_;  // last: runs while everything above lives
};

}  // namespace lb::api
