// SPDX-License-Identifier: MIT
#include "blt/base/threads.h"

#include <sched.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <thread>

namespace blt {

int resolve_threads(int requested) {
  if (requested > 0) return requested;
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

struct ThreadLimit::Impl {
  tbb::global_control control;
};

ThreadLimit::ThreadLimit(int threads)
    : impl_(new Impl{tbb::global_control(tbb::global_control::max_allowed_parallelism,
                                         static_cast<std::size_t>(resolve_threads(threads)))}) {}
ThreadLimit::~ThreadLimit() = default;

}  // namespace blt
