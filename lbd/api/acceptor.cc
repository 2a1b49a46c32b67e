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

namespace lb::api {
namespace {

constexpr int kBacklog = 128;
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
Status Prepare(const std::string& path, const sockaddr_un& address) {
  const auto directory = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!directory.empty()) std::filesystem::create_directories(directory, error);
  if (error) return ErrnoStatus(error.value(), "create " + directory.string());
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return FailedPrecondition(fmt::format("--listen: {} exists and is not a socket", path));
  }
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return FailedPrecondition(fmt::format("--listen: another process serves {}", path));
  }
  unlink(path.c_str());
  return OkStatus();
}

}  // namespace

StatusOr<Listener> BindUnix(const std::string& path, gid_t group) {
  LB_ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(path));
  LB_RETURN_IF_ERROR(Prepare(path, address));
  Listener listener{UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), path};
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

StatusOr<Listener> BindLoopback(const std::string& address) {
  const auto wrong = [&] {
    return InvalidArgument(fmt::format(
        "--listen_tcp: without TLS it must be 127.0.0.1:PORT or [::1]:PORT, got \"{}\"", address));
  };
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return wrong();
  const std::string host = address.substr(0, colon);
  uint16_t port = 0;
  const char* const end = address.data() + address.size();
  const auto [next, error] = std::from_chars(address.data() + colon + 1, end, port);
  if (error != std::errc() || next != end || (host != "127.0.0.1" && host != "[::1]")) {
    return wrong();
  }
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  six.sin6_addr = in6addr_loopback;
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool is_six = host == "[::1]";
  Listener listener{
      UniqueFd(socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      ""};
  const int one = 1;
  setsockopt(listener.fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  const void* const chosen = is_six ? static_cast<const void*>(&six) : &four;
  const socklen_t size = is_six ? sizeof(six) : sizeof(four);
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
      const auto closed = open_.find(fd);
      if (closed == open_.end()) continue;
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
      callbacks_.closed(closed->second);
      open_.erase(closed);
      std::erase_if(own_, [&](const UniqueFd& own) { return own.get() == fd; });
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

void Acceptor::Accept(const Listener& listener) {
  while (true) {
    UniqueFd fd(accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EMFILE || errno == ENFILE) {
        LOG_EVERY_N(WARNING, 1000) << "Out of descriptors for connections to the API";
      }
      return;
    }
    if (open_.size() >= kMaxConnections) {
      LOG_EVERY_N(WARNING, 1000) << "More than " << kMaxConnections
                                 << " connections to the API: the new ones are closed";
      continue;
    }
    if (listener.path.empty()) {
      const int one = 1;
      setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    // gRPC closes its own without telling; ours hears when either end is gone.
    UniqueFd own(fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    UniqueFd served = Renumber(std::move(fd));
    epoll_event event{.events = EPOLLRDHUP | EPOLLONESHOT, .data = {.fd = own.get()}};
    if (!own.valid() || !served.valid() || open_.contains(own.get())) continue;
    const int number = served.get();
    if (!callbacks_.opened(number, !listener.path.empty())) continue;
    (void)served.release();
    open_[own.get()] = number;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, own.get(), &event) != 0) {
      shutdown(own.get(), SHUT_RDWR);
    }
    own_.push_back(std::move(own));
  }
}

}  // namespace lb::api
