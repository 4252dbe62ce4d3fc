// SPDX-License-Identifier: MIT
// One total for all threads of a process.
#pragma once

#include <memory>

namespace blt {

// 0 means every CPU this process may run on.
int resolve_threads(int requested);

// While alive, oneTBB uses at most this many threads.
class ThreadLimit {
 public:
  explicit ThreadLimit(int threads);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// oneTBB orders tasks with its own means, which the thread sanitizer cannot see into: these tell it. What a thread did before
// published(x) is seen by a thread after received(x). Nothing in other builds.
#if defined(__SANITIZE_THREAD__)
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
inline void published(const void* what) { __tsan_release(const_cast<void*>(what)); }
inline void received(const void* what) { __tsan_acquire(const_cast<void*>(what)); }
#else
inline void published(const void*) {}
inline void received(const void*) {}
#endif

// Runs a step of something that oneTBB runs one step after the other: a serial filter, the part of a loop.
template <class F>
decltype(auto) in_turn(const void* what, F&& f) {
  struct Turn {
    const void* of;
    explicit Turn(const void* w) : of(w) { received(of); }
    ~Turn() { published(of); }
  } turn(what);
  return f();
}

}  // namespace blt
