// SPDX-License-Identifier: MIT
// One thread a number (or pair, or column): no thread needs another.
#pragma once

#include "block.cuh"

namespace blt::kernels::gpu {

// Kernel::at(p, i) for each 0 <= i < Kernel::count(p).
template <class Kernel, class Parameters>
struct Flat {
  using Params = Parameters;
  static constexpr int threads = 256;
  struct Shared {};

  template <class Block>
  BLT_DEVICE static void run(const Params& p, Block& block, Shared&) {
    block.each([&](int t) {
      const int64_t i = block.index() * threads + t;
      if (i < Kernel::count(p)) Kernel::at(p, i);
    });
  }
};

// dw_parts[part] = sum of dy n over the part's rows, by columns.
template <class T>
struct RmsNormWeightGradient : Flat<RmsNormWeightGradient<T>, RmsNormBackward> {
  static constexpr const char* name = "rms_norm_backward (dw)";
  BLT_BOTH static int64_t count(const RmsNormBackward& p) {
    return parts(p.rows, norm_part_rows) * p.dim;
  }
  BLT_DEVICE static void at(const RmsNormBackward& p, int64_t i) {
    const int64_t part = i / p.dim, column = i % p.dim;
    const int64_t end = least(p.rows, (part + 1) * norm_part_rows);
    float sum = 0;
    for (int64_t row = part * norm_part_rows; row < end; ++row) {
      const int64_t at = row * p.dim + column;
      sum += get(static_cast<const T*>(p.dy) + at) * p.x[at] * p.inverse_rms[row];
    }
    p.dw_parts[i] = sum;
  }
};

template <class T>
struct RotaryKernel : Flat<RotaryKernel<T>, Rotary> {
  static constexpr const char* name = "rotary";
  BLT_BOTH static int64_t count(const Rotary& p) { return p.rows * p.heads * (p.head_dim / 2); }
  BLT_DEVICE static void at(const Rotary& p, int64_t i) {
    const int64_t half = p.head_dim / 2, pair = i % half, row_head = i / half,
                  row = row_head / p.heads;
    const float* c = p.cos_sin + static_cast<int64_t>(p.position[row]) * p.head_dim;
    const float cosine = c[pair], sine = p.inverse ? -c[half + pair] : c[half + pair];
    T* x = static_cast<T*>(p.x) + row_head * p.head_dim + 2 * pair;
    const float a = get(x), b = get(x + 1);
    put(x, a * cosine - b * sine);
    put(x + 1, a * sine + b * cosine);
  }
};

BLT_DEVICE float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

template <class T>
struct SwiGluKernel : Flat<SwiGluKernel<T>, SwiGlu> {
  static constexpr const char* name = "swiglu";
  BLT_BOTH static int64_t count(const SwiGlu& p) { return p.count; }
  BLT_DEVICE static void at(const SwiGlu& p, int64_t i) {
    const float x = get(static_cast<const T*>(p.gate) + i);
    put(static_cast<T*>(p.h) + i, x * sigmoid(x) * get(static_cast<const T*>(p.up) + i));
  }
};

template <class T>
struct SwiGluGradient : Flat<SwiGluGradient<T>, SwiGluBackward> {
  static constexpr const char* name = "swiglu_backward";
  BLT_BOTH static int64_t count(const SwiGluBackward& p) { return p.count; }
  BLT_DEVICE static void at(const SwiGluBackward& p, int64_t i) {
    const float x = get(static_cast<const T*>(p.gate) + i),
                up = get(static_cast<const T*>(p.up) + i);
    const float dh = get(static_cast<const T*>(p.dh) + i), s = sigmoid(x);
    put(static_cast<T*>(p.dup) + i, dh * x * s);
    put(static_cast<T*>(p.dgate) + i, dh * up * s * (1.0f + x * (1.0f - s)));
  }
};

struct SegmentMaxKernel : Flat<SegmentMaxKernel, SegmentMax> {
  static constexpr const char* name = "segment_max";
  BLT_BOTH static int64_t count(const SegmentMax& p) { return p.segments * p.dim; }
  BLT_DEVICE static void at(const SegmentMax& p, int64_t i) {
    const int64_t segment = i / p.dim, column = i % p.dim, begin = p.starts[segment],
                  end = p.starts[segment + 1];
    float high = begin < end ? p.x[begin * p.dim + column] : 0.0f;
    for (int64_t row = begin + 1; row < end; ++row) {
      const float x = p.x[row * p.dim + column];
      high = x > high ? x : high;
    }
    p.out[i] = high;
  }
};

struct SegmentMaxGradient : Flat<SegmentMaxGradient, SegmentMaxBackward> {
  static constexpr const char* name = "segment_max_backward";
  BLT_BOTH static int64_t count(const SegmentMaxBackward& p) { return p.segments * p.dim; }
  BLT_DEVICE static void at(const SegmentMaxBackward& p, int64_t i) {
    const int64_t segment = i / p.dim, column = i % p.dim, begin = p.starts[segment],
                  end = p.starts[segment + 1];
    const float high = p.out[i];
    float ties = 0;
    for (int64_t row = begin; row < end; ++row)
      ties += p.x[row * p.dim + column] == high ? 1.0f : 0.0f;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t at = row * p.dim + column;
      p.dx[at] = p.x[at] == high ? p.dout[i] / ties : 0.0f;
    }
  }
};

struct HashRowsKernel : Flat<HashRowsKernel, HashRows> {
  static constexpr const char* name = "hash_rows";
  BLT_BOTH static int64_t count(const HashRows& p) { return p.tables * (p.count - p.skip); }
  BLT_DEVICE static void at(const HashRows& p, int64_t number) {
    const int64_t fresh = p.count - p.skip, table = number / fresh, i = p.skip + number % fresh,
                  n = p.group_sizes[table];
    uint64_t hash = 0,
             power = 1;  // ids before the start are 0 and add nothing; the oldest has power 0
    for (int64_t k = 0; k < n; ++k) {
      const int64_t j = i - n + 1 + k;
      if (j >= p.start[i]) hash += static_cast<uint64_t>(p.ids[j]) * power;
      power *= p.primes[table];
    }
    int64_t row = static_cast<int64_t>(hash) % p.table_rows;
    if (row < 0) row += p.table_rows;
    p.rows[number] = static_cast<int32_t>(row);
  }
};

struct GatherSumKernel : Flat<GatherSumKernel, GatherSum> {
  static constexpr const char* name = "gather_sum";
  BLT_BOTH static int64_t count(const GatherSum& p) { return p.count * p.dim; }
  BLT_DEVICE static void at(const GatherSum& p, int64_t number) {
    const int64_t i = number / p.dim, column = number % p.dim;
    float sum = p.accumulate ? p.out[number] : 0.0f;
    for (int64_t t = 0; t < p.tables; ++t) {
      sum += p.table[(t * p.table_rows + p.rows[t * p.count + i]) * p.dim + column];
    }
    p.out[number] = sum;
  }
};

template <class T>
struct ResidualKernel : Flat<ResidualKernel<T>, Residual> {
  static constexpr const char* name = "residual";
  BLT_BOTH static int64_t count(const Residual& p) { return p.count; }
  BLT_DEVICE static void at(const Residual& p, int64_t i) {
    p.out[i] = p.x[i] * p.scale + get(static_cast<const T*>(p.y) + i);
  }
};

template <class From, class To>
struct CastKernel : Flat<CastKernel<From, To>, Cast> {
  static constexpr const char* name = "cast";
  BLT_BOTH static int64_t count(const Cast& p) { return p.count; }
  BLT_DEVICE static void at(const Cast& p, int64_t i) {
    put(static_cast<To*>(p.y) + i, get(static_cast<const From*>(p.x) + i));
  }
};

struct PutRowsKernel : Flat<PutRowsKernel, PutRows> {
  static constexpr const char* name = "put_rows";
  BLT_BOTH static int64_t count(const PutRows& p) { return p.rows * (p.row_bytes / 4); }
  BLT_DEVICE static void at(const PutRows& p, int64_t i) {
    const int64_t width = p.row_bytes / 4, row = i / width;
    static_cast<uint32_t*>(p.out)[p.index[row] * width + i % width] =
        static_cast<const uint32_t*>(p.x)[i];
  }
};

struct ScatterSumKernel : Flat<ScatterSumKernel, ScatterSum> {
  static constexpr const char* name = "scatter_sum";
  BLT_BOTH static int64_t count(const ScatterSum& p) { return p.groups * p.dim; }
  BLT_DEVICE static void at(const ScatterSum& p, int64_t number) {
    const int64_t group = number / p.dim, column = number % p.dim;
    float sum = 0;
    for (int64_t j = p.offsets[group]; j < p.offsets[group + 1]; ++j) {
      sum += p.dy[static_cast<int64_t>(p.positions[j]) * p.dim + column];
    }
    p.out[number] = sum;
  }
};

struct AdamWKernel : Flat<AdamWKernel, AdamW> {
  static constexpr const char* name = "adamw";
  BLT_BOTH static int64_t count(const AdamW& p) { return p.rows ? p.count * p.dim : p.count; }
  BLT_DEVICE static void at(const AdamW& p, int64_t i) {
    const int64_t to = p.rows ? p.rows[i / p.dim] * p.dim + i % p.dim : i;
    const float gradient = p.gradient[i] * p.gradient_scale;
    const float m = p.beta1 * p.moment1[to] + (1.0f - p.beta1) * gradient;
    const float v = p.beta2 * p.moment2[to] + (1.0f - p.beta2) * gradient * gradient;
    const float keep = 1.0f - p.learning_rate * p.weight_decay;
    const float step = p.learning_rate / p.correction1, root = 1.0f / sqrtf(p.correction2);
    p.moment1[to] = m;
    p.moment2[to] = v;
    p.parameter[to] = p.parameter[to] * keep - step * m / (sqrtf(v) * root + p.eps);
  }
};

}  // namespace blt::kernels::gpu
