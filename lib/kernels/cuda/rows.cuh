// SPDX-License-Identifier: MIT
// One warp a row: norms and losses.
#pragma once

#include "block.cuh"

namespace blt::kernels::gpu {

// Warps share out the rows; a lane takes every 32nd column.
struct WarpRows {
  static constexpr int threads = 256;
  static constexpr int64_t rows_a_block = threads / warp;
  struct Shared {};

  template <class Block>
  BLT_DEVICE static int64_t row(const Block& block, int thread) {
    return block.index() * rows_a_block + thread / warp;
  }
  BLT_DEVICE static int lane(int thread) { return thread % warp; }
};

template <class T>
struct RmsNormKernel : WarpRows {
  using Params = RmsNorm;
  static constexpr const char* name = "rms_norm";

  template <class Block>
  BLT_DEVICE static void run(const Params& p, Block& block, Shared&) {
    auto total = block.template registers<Row<float, 1>>();
    block.each([&](int t) {
      float sum = 0;
      if (row(block, t) < p.rows) {
        const float* x = p.x + row(block, t) * p.dim;
        for (int64_t i = lane(t); i < p.dim; i += warp) sum += x[i] * x[i];
      }
      total[t].x[0] = sum;
    });
    block.template combine<warp, Sum>(total);
    block.each([&](int t) {
      const int64_t r = row(block, t);
      if (r >= p.rows) return;
      const float inverse = 1.0f / sqrtf(total[t].x[0] / static_cast<float>(p.dim) + p.eps);
      if (lane(t) == 0) p.inverse_rms[r] = inverse;
      const float* x = p.x + r * p.dim;
      T* y = static_cast<T*>(p.y) + r * p.dim;
      for (int64_t i = lane(t); i < p.dim; i += warp) put(y + i, x[i] * inverse * p.w[i]);
    });
  }
};

// With n = x r, r = inverse rms: dx = r (dy w - n mean(dy w n)).
template <class T>
struct RmsNormInputGradient : WarpRows {
  using Params = RmsNormBackward;
  static constexpr const char* name = "rms_norm_backward (dx)";

  template <class Block>
  BLT_DEVICE static void run(const Params& p, Block& block, Shared&) {
    auto total = block.template registers<Row<float, 1>>();
    block.each([&](int t) {
      float sum = 0;
      if (const int64_t r = row(block, t); r < p.rows) {
        const T* dy = static_cast<const T*>(p.dy) + r * p.dim;
        const float* x = p.x + r * p.dim;
        for (int64_t i = lane(t); i < p.dim; i += warp)
          sum += get(dy + i) * p.w[i] * x[i] * p.inverse_rms[r];
      }
      total[t].x[0] = sum;
    });
    block.template combine<warp, Sum>(total);
    block.each([&](int t) {
      const int64_t r = row(block, t);
      if (r >= p.rows) return;
      const float inverse = p.inverse_rms[r], mean = total[t].x[0] / static_cast<float>(p.dim);
      const T* dy = static_cast<const T*>(p.dy) + r * p.dim;
      const float* x = p.x + r * p.dim;
      float* dx = p.dx + r * p.dim;
      for (int64_t i = lane(t); i < p.dim; i += warp) {
        dx[i] = (get(dy + i) * p.w[i] - x[i] * inverse * mean) * inverse;
      }
    });
  }
};

// Maximum of a row of logits and the sum of exp(x - maximum), in every lane of the row's warp.
template <class T, class Block, class Value>
BLT_DEVICE void soft_rows(Block& block, const T* logits, int64_t rows, int64_t classes, Value& top,
                          Value& total) {
  block.each([&](int t) {
    float high = -INFINITY;
    if (WarpRows::row(block, t) < rows) {
      const T* x = logits + WarpRows::row(block, t) * classes;
      for (int64_t i = WarpRows::lane(t); i < classes; i += warp)
        high = get(x + i) > high ? get(x + i) : high;
    }
    top[t].x[0] = high;
  });
  block.template combine<warp, Maximum>(top);
  block.each([&](int t) {
    float sum = 0;
    if (WarpRows::row(block, t) < rows) {
      const T* x = logits + WarpRows::row(block, t) * classes;
      for (int64_t i = WarpRows::lane(t); i < classes; i += warp)
        sum += expf(get(x + i) - top[t].x[0]);
    }
    total[t].x[0] = sum;
  });
  block.template combine<warp, Sum>(total);
}

template <class T>
struct CrossEntropyKernel : WarpRows {
  using Params = CrossEntropy;
  static constexpr const char* name = "cross_entropy";

  template <class Block>
  BLT_DEVICE static void run(const Params& p, Block& block, Shared&) {
    auto top = block.template registers<Row<float, 1>>();
    auto total = block.template registers<Row<float, 1>>();
    soft_rows(block, static_cast<const T*>(p.logits), p.rows, p.classes, top, total);
    block.each([&](int t) {
      const int64_t r = row(block, t);
      if (r >= p.rows) return;
      const T* x = static_cast<const T*>(p.logits) + r * p.classes;
      const int64_t target = p.target[r];
      if (lane(t) == 0)
        p.loss[r] = target < 0 ? 0.0f : logf(total[t].x[0]) + top[t].x[0] - get(x + target);
      if (!p.dlogits) return;
      T* dx = static_cast<T*>(p.dlogits) + r * p.classes;
      const float factor = p.scale / total[t].x[0];
      for (int64_t i = lane(t); i < p.classes; i += warp) {
        const float soft = target < 0 ? 0.0f : expf(get(x + i) - top[t].x[0]) * factor;
        put(dx + i, i == target ? soft - p.scale : soft);
      }
    });
  }
};

// H = log Z - sum p x, with x taken relative to the maximum.
template <class T>
struct EntropyKernel : WarpRows {
  using Params = Entropy;
  static constexpr const char* name = "entropy";

  template <class Block>
  BLT_DEVICE static void run(const Params& p, Block& block, Shared&) {
    auto top = block.template registers<Row<float, 1>>();
    auto total = block.template registers<Row<float, 1>>();
    auto weighted = block.template registers<Row<float, 1>>();
    soft_rows(block, static_cast<const T*>(p.logits), p.rows, p.classes, top, total);
    block.each([&](int t) {
      float sum = 0;
      if (const int64_t r = row(block, t); r < p.rows) {
        const T* x = static_cast<const T*>(p.logits) + r * p.classes;
        for (int64_t i = lane(t); i < p.classes; i += warp) {
          const float below = get(x + i) - top[t].x[0];
          sum += expf(below) * below;
        }
      }
      weighted[t].x[0] = sum;
    });
    block.template combine<warp, Sum>(weighted);
    block.each([&](int t) {
      const int64_t r = row(block, t);
      if (r < p.rows && lane(t) == 0)
        p.entropy[r] = logf(total[t].x[0]) - weighted[t].x[0] / total[t].x[0];
    });
  }
};

}  // namespace blt::kernels::gpu
