// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace lb {

StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoStatus(errno, "create an epoll instance");
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoStatus(errno, "create an eventfd");
  std::unique_ptr<EventLoop> loop(new EventLoop(std::move(epoll), std::move(wake)));
  const int fd = loop->wake_.get();
  LB_RETURN_IF_ERROR(loop->Watch(fd, [fd] {
    uint64_t count;
    (void)!read(fd, &count, sizeof(count));
  }));
  return loop;
}

EventLoop::EventLoop(UniqueFd epoll, UniqueFd wake)
    : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

Status EventLoop::Watch(int fd, Task on_readable) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoStatus(errno, "watch a file descriptor");
  }
  watched_[fd] = std::move(on_readable);
  return OkStatus();
}

void EventLoop::Unwatch(int fd) {
  if (watched_.erase(fd) != 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::Wake() {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
}

void EventLoop::Post(Task task) {
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    posted_.push_back(std::move(task));
  }
  Wake();
}

void EventLoop::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  Wake();
}

bool EventLoop::RunPosted() {
  std::vector<Task> tasks;
  bool stopped;
  {
    MutexLock lock(mutex_);
    tasks.swap(posted_);
    stopped = stopped_;
  }
  for (const Task& task : tasks) task();
  return !stopped;
}

bool EventLoop::RunOnce(std::chrono::milliseconds timeout) {
  if (!RunPosted()) return false;
  std::array<epoll_event, 16> events;
  const int count =
      epoll_wait(epoll_.get(), events.data(), events.size(), static_cast<int>(timeout.count()));
  for (int i = 0; i < count; ++i) {
    // One callback may end the watch of another.
    const auto watched = watched_.find(events[i].data.fd);
    if (watched != watched_.end()) Task(watched->second)();
  }
  return true;
}

void EventLoop::Run() {
  while (RunOnce(std::chrono::milliseconds(-1))) {
  }
}

}  // namespace lb
