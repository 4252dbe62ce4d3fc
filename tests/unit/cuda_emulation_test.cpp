// SPDX-License-Identifier: MIT
// The CUDA kernels' own source, run block by block and phase by phase on the CPU, against the CPU
// kernels. Registers and shared memory start as NaNs. Running the threads of each phase in both
// orders gives the same bits unless a thread reads what another one of the same phase writes.
#include <catch2/catch.hpp>
#include <stdexcept>

#include "cuda/operations.cuh"
#include "kernel_cases.h"

using namespace blt::kernels;
using namespace kernel_cases;

namespace {

template <class T>
class HostRegisters {
 public:
  explicit HostRegisters(int threads) : values_(static_cast<std::size_t>(threads)) {
    std::memset(static_cast<void*>(values_.data()), 0xff, sizeof(T) * values_.size());
  }
  T& operator[](int thread) { return values_[static_cast<std::size_t>(thread)]; }

 private:
  std::vector<T> values_;
};

class HostBlock {
 public:
  HostBlock(std::int64_t index, int threads, bool backwards,
            const std::vector<unsigned char>& shared)
      : index_(index), threads_(threads), backwards_(backwards), shared_(shared) {}

  std::int64_t index() const { return index_; }
  template <class T>
  HostRegisters<T> registers() const {
    return HostRegisters<T>(threads_);
  }
  template <class F>
  void phase(F&& body) const {
    for (int i = 0; i < threads_; ++i) body(backwards_ ? threads_ - 1 - i : i);
  }
  template <class F>
  void each(F&& body) const {
    const auto before = shared_;
    phase(body);
    if (before != shared_) throw std::logic_error("each() wrote shared memory");
  }
  template <int Width, class Op, class T, int N>
  void combine(HostRegisters<gpu::Row<T, N>>& values) const {
    for (int i = 0; i < N; ++i) {
      for (int apart = Width / 2; apart > 0; apart /= 2) {
        std::vector<T> old;
        for (int t = 0; t < threads_; ++t) old.push_back(values[t].x[i]);
        for (int t = 0; t < threads_; ++t) {
          values[t].x[i] =
              Op::of(old[static_cast<std::size_t>(t)], old[static_cast<std::size_t>(t ^ apart)]);
        }
      }
    }
  }

 private:
  std::int64_t index_;
  int threads_;
  bool backwards_;
  const std::vector<unsigned char>& shared_;
};

template <bool Backwards>
struct HostLauncher {
  template <class Kernel>
  static void run(std::int64_t blocks, const typename Kernel::Params& p) {
    using Shared = typename Kernel::Shared;
    static_assert(sizeof(Shared) <= 163 * 1024, "a block of sm_80 has no more shared memory");
    static_assert(Kernel::threads % 32 == 0 && Kernel::threads <= 1024);
    std::vector<unsigned char> memory(sizeof(Shared) + 16);
    auto* aligned =
        memory.data() + (16 - reinterpret_cast<std::uintptr_t>(memory.data()) % 16) % 16;
    for (std::int64_t i = 0; i < blocks; ++i) {
      const std::int64_t index = Backwards ? blocks - 1 - i : i;
      std::fill(memory.begin(), memory.end(), static_cast<unsigned char>(0xff));
      HostBlock block(index, Kernel::threads, Backwards, memory);
      Kernel::run(p, block, *reinterpret_cast<Shared*>(aligned));
    }
  }
};

template <bool Backwards>
const Table& emulated() {
  using O = gpu::Operations<HostLauncher<Backwards>>;
  static const Table table = {"emulated",   O::rms_norm,        O::rms_norm_backward,
                              O::rotary,    O::attention,       O::attention_backward,
                              O::swiglu,    O::swiglu_backward, O::cross_entropy,
                              O::entropy,   O::segment_max,     O::segment_max_backward,
                              O::hash_rows, O::gather_sum,      O::scatter_sum,
                              O::adamw,     O::matvec,          O::residual,
                              O::cast,      O::put_rows};
  return table;
}

void check(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    INFO(c.name);
    HostMemory memory, other;
    CHECK(compare(c, emulated<false>(), memory, *cpu_table("portable"), other) == "");
    Case same = c;
    same.bound = 0;
    CHECK(compare(same, emulated<true>(), memory, emulated<false>(), other) == "");
  }
}

}  // namespace

TEST_CASE("emulated CUDA kernels agree with the CPU's") {
  check(simple_cases());
}

TEST_CASE("emulated CUDA attention agrees with the CPU's") {
  check(attention_cases());
}

TEST_CASE("emulated CUDA attention leaves keys that no query sees") {
  HostMemory memory;
  CHECK(unseen_keys(emulated<false>(), memory) == "");
}

TEST_CASE("CUDA attention refuses heads that are too wide") {
  HostMemory memory;
  Run run(emulated<false>(), memory, 1);
  const KeyRanges ranges{"one", 1, {0}, {1}, {0, 1}};
  CHECK_THROWS_AS(attention_case(run, ranges, {1, 1, 257}, Element::f32, 1, 0), blt::Error);
}

TEST_CASE("the comparison sees a wrong number, a missing one and one past the end") {
  const std::vector<Result> right = {{"x", {1, 2, marker}}};
  CHECK(difference(right, right, 0) == "");
  CHECK(difference({{"x", {1, 2.1f, marker}}}, right, 1e-3) != "");
  CHECK(difference({{"x", {1, 2, 0}}}, right, 1e-3) != "");
  CHECK(difference({{"x", {1, std::nanf(""), marker}}}, right, 1e-3) != "");
}
