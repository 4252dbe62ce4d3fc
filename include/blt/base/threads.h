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

}  // namespace blt
