// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>

// Clang's thread safety annotations (-Wthread-safety); nothing for other compilers.
#ifdef __clang__
#define LB_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define LB_THREAD_ANNOTATION(x)
#endif
#define LB_CAPABILITY(x) LB_THREAD_ANNOTATION(capability(x))
#define LB_SCOPED_CAPABILITY LB_THREAD_ANNOTATION(scoped_lockable)
#define LB_GUARDED_BY(x) LB_THREAD_ANNOTATION(guarded_by(x))
#define LB_ACQUIRE(...) LB_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define LB_RELEASE(...) LB_THREAD_ANNOTATION(release_capability(__VA_ARGS__))

namespace lb {

// std::mutex that clang's analysis knows (absl::Mutex from a package gives false races under TSan).
class LB_CAPABILITY("mutex") Mutex {
 public:
  void Lock() LB_ACQUIRE() { mutex_.lock(); }
  void Unlock() LB_RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class LB_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) LB_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  ~MutexLock() LB_RELEASE() { mutex_.Unlock(); }

 private:
  Mutex& mutex_;
};

}  // namespace lb
