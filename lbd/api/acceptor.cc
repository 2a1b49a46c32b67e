// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/acceptor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

#include "lbd/base/ip_address.h"

namespace lb::api {
namespace {

constexpr int kBacklog = 512;
// Connections get numbers from here on, in turn.
constexpr int kFirstNumber = 2048;
constexpr int kNumbers = 16384;

StatusOr<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return InvalidArgument(fmt::format("--listen: a socket path has 1..{} characters, got {}",
                                       sizeof(address.sun_path) - 1, path.size()));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// Makes room for a socket at `path`.
Status Prepare(const std::string& path) {
  const auto directory = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!directory.empty()) std::filesystem::create_directories(directory, error);
  if (error) return ErrnoStatus(error.value(), "create " + directory.string());
  switch (LookAt(path)) {
    case SocketPath::kFree:
      return OkStatus();
    case SocketPath::kTaken:
      return FailedPrecondition(fmt::format("--listen: {} exists and is not a socket", path));
    case SocketPath::kServed:
      return FailedPrecondition(fmt::format("--listen: another process serves {}", path));
    case SocketPath::kStale:
      unlink(path.c_str());
      return OkStatus();
  }
  return OkStatus();
}

// Whose connections are counted together: "uid 1000", "192.0.2.7".
std::string OriginOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "nobody";
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto* four = reinterpret_cast<const sockaddr_in*>(&address);
    return inet_ntop(AF_INET, &four->sin_addr, text.data(), text.size());
  }
  if (address.ss_family == AF_INET6) {
    const auto* six = reinterpret_cast<const sockaddr_in6*>(&address);
    return inet_ntop(AF_INET6, &six->sin6_addr, text.data(), text.size());
  }
  ucred credentials{};
  size = sizeof(credentials);
  getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
  return fmt::format("uid {}", credentials.uid);
}

}  // namespace

StatusOr<std::string> UnixPath(const std::string& listen) {
  constexpr std::string_view kUnix = "unix:";
  if (listen.starts_with(kUnix)) return listen.substr(kUnix.size());
  return InvalidArgument(fmt::format(
      "--listen: must be a Unix socket such as unix:/run/lbd/lbd.sock, got \"{}\"", listen));
}

SocketPath LookAt(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return SocketPath::kFree;
  if (!S_ISSOCK(info.st_mode)) return SocketPath::kTaken;
  const auto address = UnixAddress(path);
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return address.ok() && connect(probe.get(), reinterpret_cast<const sockaddr*>(&*address),
                                 sizeof(*address)) == 0
             ? SocketPath::kServed
             : SocketPath::kStale;
}

StatusOr<Listener> BindUnix(const std::string& path, gid_t group) {
  LB_ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(path));
  LB_RETURN_IF_ERROR(Prepare(path));
  Listener listener{UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
                    Transport::kUnix, path};
  const mode_t mask = umask(0117);
  const int bound =
      bind(listener.fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  umask(mask);
  if (bound != 0) return ErrnoStatus(errno, "--listen: bind " + path);
  if (group != getegid() && chown(path.c_str(), static_cast<uid_t>(-1), group) != 0) {
    return ErrnoStatus(errno, fmt::format("--socket_group: give {} to group {}", path, group));
  }
  return listener;
}

StatusOr<Listener> BindTcp(const std::string& address, Transport transport) {
  const auto wrong = [&](std::string_view what) {
    return InvalidArgument(fmt::format("--listen_tcp: must be {}, got \"{}\"", what, address));
  };
  const size_t colon = address.rfind(':');
  uint16_t port = 0;
  const char* const end = address.data() + address.size();
  const char* const digits = colon == std::string::npos ? end : address.data() + colon + 1;
  const auto [next, error] = std::from_chars(digits, end, port);
  if (error != std::errc() || next != end) return wrong("ADDRESS:PORT or [ADDRESS]:PORT");
  std::string host = address.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto ip = IpAddress::Parse(host);
  if (!ip.ok() || ip->is_v4() == bracketed) return wrong("ADDRESS:PORT or [ADDRESS]:PORT");
  if (transport == Transport::kLoopback && !ip->is_loopback()) {
    return wrong("127.0.0.1:PORT or [::1]:PORT without TLS");
  }
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  inet_pton(AF_INET6, host.c_str(), &six.sin6_addr);
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  inet_pton(AF_INET, host.c_str(), &four.sin_addr);
  const int family = ip->is_v4() ? AF_INET : AF_INET6;
  Listener listener{UniqueFd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
                    transport, ""};
  const int one = 1;
  setsockopt(listener.fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  const void* const chosen = ip->is_v4() ? static_cast<const void*>(&four) : &six;
  const socklen_t size = ip->is_v4() ? sizeof(four) : sizeof(six);
  if (bind(listener.fd.get(), static_cast<const sockaddr*>(chosen), size) != 0) {
    return ErrnoStatus(errno, "--listen_tcp: bind " + address);
  }
  return listener;
}

StatusOr<std::unique_ptr<Acceptor>> Acceptor::Start(std::vector<Listener> listeners,
                                                    Callbacks callbacks) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const rlim_t wanted = kFirstNumber + kNumbers;
  if (files.rlim_cur < wanted) {
    files.rlim_cur = std::min(wanted, files.rlim_max);
    setrlimit(RLIMIT_NOFILE, &files);
  }
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll.valid() || !stop.valid()) return ErrnoStatus(errno, "watch connections");
  std::unique_ptr<Acceptor> self(
      new Acceptor(std::move(listeners), std::move(callbacks), std::move(epoll), std::move(stop)));
  const auto watch = [&](int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    return epoll_ctl(self->epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  };
  bool ok = watch(self->stop_.get());
  for (const Listener& listener : self->listeners_) {
    ok &= listen(listener.fd.get(), kBacklog) == 0 && watch(listener.fd.get());
  }
  if (!ok) return ErrnoStatus(errno, "watch connections");
  self->thread_ = std::thread([acceptor = self.get()] { acceptor->Run(); });
  return self;
}

Acceptor::Acceptor(std::vector<Listener> listeners, Callbacks callbacks, UniqueFd epoll,
                   UniqueFd stop)
    : listeners_(std::move(listeners)),
      callbacks_(std::move(callbacks)),
      epoll_(std::move(epoll)),
      stop_(std::move(stop)),
      next_number_(kFirstNumber) {}

Acceptor::~Acceptor() {
  const uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof(one));
  if (thread_.joinable()) thread_.join();
  for (const Listener& listener : listeners_) {
    if (!listener.path.empty()) unlink(listener.path.c_str());
  }
}

void Acceptor::Run() {
  std::array<epoll_event, 64> events;
  while (true) {
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == stop_.get()) return;
      const auto listener = std::ranges::find_if(
          listeners_, [&](const Listener& candidate) { return candidate.fd.get() == fd; });
      if (listener != listeners_.end()) {
        Accept(*listener);
        continue;
      }
      Closed(fd);
    }
  }
}

UniqueFd Acceptor::Renumber(UniqueFd fd) {
  const int number = fcntl(fd.get(), F_DUPFD_CLOEXEC, next_number_);
  if (number < 0 || number >= kFirstNumber + kNumbers) {
    next_number_ = kFirstNumber;  // the next one
    return number < 0 ? std::move(fd) : UniqueFd(number);
  }
  next_number_ = number + 1 < kFirstNumber + kNumbers ? number + 1 : kFirstNumber;
  return UniqueFd(number);
}

void Acceptor::Closed(int own) {
  const auto closed = open_.find(own);
  if (closed == open_.end()) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, own, nullptr);
  callbacks_.closed(closed->second.number);
  const auto count = per_origin_.find(closed->second.origin);
  if (--count->second == 0) per_origin_.erase(count);
  open_.erase(closed);
}

bool Acceptor::HasRoom(const std::string& origin) const {
  if (open_.size() >= kMaxConnections) {
    LOG_EVERY_N(WARNING, 1000) << "More than " << kMaxConnections
                               << " connections to the API: the new ones are closed";
    return false;
  }
  const auto count = per_origin_.find(origin);
  if (count != per_origin_.end() && count->second >= kMaxPerOrigin) {
    LOG_EVERY_N(WARNING, 1000) << "More than " << kMaxPerOrigin << " connections of " << origin
                               << " to the API: the new ones are closed";
    return false;
  }
  return true;
}

void Acceptor::Accept(const Listener& listener) {
  while (true) {
    UniqueFd fd(accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.valid()) {
      Take(std::move(fd), listener);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EMFILE || errno == ENFILE) {
      LOG_EVERY_N(WARNING, 1000) << "Out of descriptors for connections to the API";
    }
    return;
  }
}

void Acceptor::Take(UniqueFd fd, const Listener& listener) {
  const std::string origin = OriginOf(fd.get());
  if (!HasRoom(origin)) return;
  if (listener.transport != Transport::kUnix) {
    const int one = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  }
  // gRPC closes its own without telling; ours hears when either end is gone.
  UniqueFd own(fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  UniqueFd served = Renumber(std::move(fd));
  if (!own.valid() || !served.valid()) return;
  const int number = served.get();
  if (!callbacks_.opened(number, listener.transport)) return;
  (void)served.release();
  const int watched = own.get();
  open_[watched] = {std::move(own), number, origin};
  ++per_origin_[origin];
  epoll_event event{.events = EPOLLRDHUP | EPOLLONESHOT, .data = {.fd = watched}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, watched, &event) != 0) shutdown(watched, SHUT_RDWR);
}

}  // namespace lb::api
