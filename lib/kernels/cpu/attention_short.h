// SPDX-License-Identifier: MIT
// Attention with a handful of keys a query: both cross-attentions of BLT. One query a time, no tiles.
#pragma once

#include <math.h>
#include <stdlib.h>

#include "vec.h"

namespace blt::kernels::BLT_ISA {

// A buffer of the calling thread, grown as needed and kept.
static inline float* scratch_floats(int64_t count) {
  struct Buffer {
    float* data = nullptr;
    int64_t size = 0;
    ~Buffer() { free(data); }
  };
  static thread_local Buffer buffer;
  if (buffer.size < count) {
    free(buffer.data);
    buffer.data = static_cast<float*>(aligned_alloc(64, (static_cast<size_t>(count) * sizeof(float) + 63) / 64 * 64));
    if (!buffer.data) abort();
    buffer.size = count;
  }
  return buffer.data;
}

template <class A, class B>
static inline float dot(const A* a, const B* b, int64_t n) {
  Vec total{};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) total += load(a + i) * load(b + i);
  float rest = 0;
  for (; i < n; ++i) rest += get(a + i) * get(b + i);
  return sum(total) + rest;
}

// out += x * factor.
template <class T>
static inline void add_scaled(const T* x, float factor, float* out, int64_t n) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(out + i, load(out + i) + load(x + i) * factor);
  for (; i < n; ++i) out[i] += get(x + i) * factor;
}

template <class T>
static inline void write_row(const float* x, T* out, int64_t n) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(out + i, load(x + i));
  for (; i < n; ++i) put(out + i, x[i]);
}

template <class T>
static void short_forward(const Attention& p, int64_t begin, int64_t end, int64_t head) {
  const int64_t dim = p.head_dim, q_stride = p.heads * dim, k_stride = p.kv_heads * dim;
  const int64_t kv = head / (p.heads / p.kv_heads);
  float* out = scratch_floats(dim + 32);
  float* weight = out + dim;
  for (int64_t i = begin; i < end; ++i) {
    const T* q = static_cast<const T*>(p.q) + i * q_stride + head * dim;
    const int64_t first = p.first[i], count = p.last[i] - first;
    float top = -INFINITY, total = 0;
    for (int64_t j = 0; j < count; ++j) {
      weight[j] = dot(q, static_cast<const T*>(p.k) + (first + j) * k_stride + kv * dim, dim) * p.scale;
      top = weight[j] > top ? weight[j] : top;
    }
    memset(out, 0, sizeof(float) * static_cast<size_t>(dim));
    for (int64_t j = 0; j < count; ++j) total += weight[j] = expf(weight[j] - top);
    for (int64_t j = 0; j < count; ++j) {
      add_scaled(static_cast<const T*>(p.v) + (first + j) * k_stride + kv * dim, weight[j] / total, out, dim);
    }
    p.log_sum[i * p.heads + head] = count > 0 ? top + logf(total) : 0.0f;
    write_row(out, static_cast<T*>(p.out) + i * q_stride + head * dim, dim);
  }
}

template <class T>
static void short_backward(const AttentionBackward& b, int64_t begin, int64_t end, int64_t kv) {
  const Attention& p = b.forward;
  const int64_t dim = p.head_dim, q_stride = p.heads * dim, k_stride = p.kv_heads * dim, group = p.heads / p.kv_heads;
  const int64_t key_base = p.first[begin], keys = p.last[end - 1] - key_base;
  float* dq = scratch_floats(dim + 2 * keys * dim);
  float *dk = dq + dim, *dv = dk + keys * dim;
  memset(dk, 0, sizeof(float) * static_cast<size_t>(2 * keys * dim));
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t head = kv * group; head < (kv + 1) * group; ++head) {
      const int64_t offset = i * q_stride + head * dim;
      const T *q = static_cast<const T*>(p.q) + offset, *dout = static_cast<const T*>(b.dout) + offset;
      const float delta = dot(dout, static_cast<const T*>(p.out) + offset, dim);
      memset(dq, 0, sizeof(float) * static_cast<size_t>(dim));
      for (int64_t j = p.first[i]; j < p.last[i]; ++j) {
        const T* k = static_cast<const T*>(p.k) + j * k_stride + kv * dim;
        const T* v = static_cast<const T*>(p.v) + j * k_stride + kv * dim;
        const float weight = expf(dot(q, k, dim) * p.scale - p.log_sum[i * p.heads + head]);
        const float dscore = weight * (dot(dout, v, dim) - delta) * p.scale;
        add_scaled(k, dscore, dq, dim);
        add_scaled(q, dscore, dk + (j - key_base) * dim, dim);
        add_scaled(dout, weight, dv + (j - key_base) * dim, dim);
      }
      write_row(dq, static_cast<T*>(b.dq) + offset, dim);
    }
  }
  for (int64_t j = 0; j < keys; ++j) {
    write_row(dk + j * dim, static_cast<T*>(b.dk) + (key_base + j) * k_stride + kv * dim, dim);
    write_row(dv + j * dim, static_cast<T*>(b.dv) + (key_base + j) * k_stride + kv * dim, dim);
  }
}

}  // namespace blt::kernels::BLT_ISA
