// SPDX-License-Identifier: MIT
// Products with a few vectors: one warp a row of weights, which is read once for up to N of them.
#pragma once

#include "rows.cuh"

namespace blt::kernels::gpu {

// Neighbouring numbers, read at once.
template <class T, int Count>
struct alignas(sizeof(T) * Count < 16 ? sizeof(T) * Count : 16) Pack {
  T x[Count];
};

template <class W, class A, int N>
struct MatVecKernel : WarpRows {
  using Params = MatVec;
  using Sums = Row<float, N>;
  static constexpr const char* name = "matvec";
  static constexpr int chunk = 16 / static_cast<int>(sizeof(W));  // numbers that a lane reads at once

  // The row of weights that a warp multiplies; past the last one: no w.
  struct Output {
    const W* w = nullptr;
    A* y = nullptr;
    int64_t stride = 0;  // of y

    BLT_DEVICE Output(const MatVec& p, int64_t row) {
      for (int64_t i = 0; i < p.count; ++i) {
        const MatVec::Part& part = p.parts[i];
        if (row < part.out) {
          w = static_cast<const W*>(part.w) + row * p.in;
          y = static_cast<A*>(part.y) + row;
          stride = part.out;
          return;
        }
        row -= part.out;
      }
    }
  };

  BLT_DEVICE static bool whole_chunks(const MatVec& p) {
    bool whole = p.in % chunk == 0 && reinterpret_cast<uintptr_t>(p.x) % 16 == 0;
    for (int64_t i = 0; i < p.count; ++i) whole = whole && reinterpret_cast<uintptr_t>(p.parts[i].w) % 16 == 0;
    return whole;
  }

  // A lane's part of w . x[first + i]; vectors past the last one repeat it.
  template <int Count>
  BLT_DEVICE static void dot(const MatVec& p, const W* w, int lane, int64_t first, Sums& sums) {
    const A* x[N];
    BLT_UNROLL
    for (int i = 0; i < N; ++i) {
      x[i] = static_cast<const A*>(p.x) + least(first + i, p.rows - 1) * p.in;
      sums.x[i] = 0;
    }
    BLT_UNROLL_4
    for (int64_t at = lane * Count; at < p.in; at += warp * Count) {
      const auto weights = *reinterpret_cast<const Pack<W, Count>*>(w + at);
      BLT_UNROLL
      for (int i = 0; i < N; ++i) {
        const auto numbers = *reinterpret_cast<const Pack<A, Count>*>(x[i] + at);
        BLT_UNROLL
        for (int e = 0; e < Count; ++e) sums.x[i] += get(&weights.x[e]) * get(&numbers.x[e]);
      }
    }
  }

  template <class Block>
  BLT_DEVICE static void run(const Params& p, Block& block, Shared&) {
    auto sums = block.template registers<Sums>();
    const bool whole = whole_chunks(p);
    for (int64_t first = 0; first < p.rows; first += N) {
      block.each([&](int t) {
        const Output out(p, row(block, t));
        if (!out.w) {
          BLT_UNROLL
          for (int i = 0; i < N; ++i) sums[t].x[i] = 0;
        } else if (whole) {
          dot<chunk>(p, out.w, lane(t), first, sums[t]);
        } else {
          dot<1>(p, out.w, lane(t), first, sums[t]);
        }
      });
      block.template combine<warp, Sum>(sums);
      block.each([&](int t) {
        const Output out(p, row(block, t));
        if (!out.w) return;
        BLT_UNROLL
        for (int i = 0; i < N; ++i) {
          if (lane(t) == i && first + i < p.rows) put(out.y + (first + i) * out.stride, sums[t].x[i]);
        }
      });
    }
  }
};

}  // namespace blt::kernels::gpu
