// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "lbd/base/mutex.h"
#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"

namespace lb {

// Runs callbacks on one thread: for readable file descriptors, and for tasks that any thread posts.
// Thread-safe where said; everything else belongs to the thread that calls Run(), or comes before
// it.
class EventLoop {
 public:
  using Task = std::function<void()>;

  static StatusOr<std::unique_ptr<EventLoop>> Create();

  // Calls `on_readable` whenever `fd` has something to read (level-triggered). The fd is borrowed.
  Status Watch(int fd, Task on_readable);
  // No longer; to be called before the fd is closed.
  void Unwatch(int fd);
  // Runs `task` on the loop's thread, in order. Thread-safe. After Stop() tasks no longer run.
  void Post(Task task);
  // Runs until Stop(), and then what was posted before it.
  void Run();
  // One round of Run(): waits for at most `timeout`. False once stopped.
  bool RunOnce(std::chrono::milliseconds timeout);
  // Thread-safe.
  void Stop();

 private:
  EventLoop(UniqueFd epoll, UniqueFd wake);

  void Wake();
  // False once stopped.
  bool RunPosted();

  UniqueFd epoll_;
  UniqueFd wake_;
  std::map<int, Task> watched_;
  Mutex mutex_;
  std::vector<Task> posted_ LB_GUARDED_BY(mutex_);
  bool stopped_ LB_GUARDED_BY(mutex_) = false;
};

}  // namespace lb
