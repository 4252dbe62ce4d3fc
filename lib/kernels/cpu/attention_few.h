// SPDX-License-Identifier: MIT
// Attention of a few queries, as in decoding: keys and values are read once, in pieces that threads share ("split keys",
// Dao et al. 2023), and the pieces' softmaxes are joined. A query's pieces begin at its own first key, so that its result
// depends neither on the number of threads nor on the queries beside it. Heads that lie beside each other go together, and
// the first query reads key by key, value by value: memory in its own order is what prefetchers are made for, and twice as fast as
// a few keys of a head at a time. The queries after it find all that in the cache.
#pragma once

#include <math.h>

#include "attention_short.h"

namespace blt::kernels::BLT_ISA {
namespace few {

constexpr int64_t most_keys = 128;    // of a piece
constexpr int64_t run_floats = 1024;  // of a key that a task reads at once, where it has so many
constexpr int64_t most_heads = 16;    // of a task

// Keys of a piece of a query that sees so many: a few pieces for several threads, but long ones, where memory is read faster.
static inline int64_t piece_of(int64_t keys) { return keys <= 2 * most_keys ? most_keys / 4 : most_keys; }

static inline bool fits(const Attention& p) { return p.queries <= few_rows && p.head_dim % lanes == 0; }

// What one piece says to one head of one query: a maximum, a sum of weights, and the weighted values.
struct Part {
  float top, total;
  float* out;
};

template <class T>
struct Few {
  Attention p;
  int64_t dim = p.head_dim, stride = p.kv_heads * dim, group = p.heads / p.kv_heads;
  int64_t widest = 0, pieces = 0;
  float *query, *parts;  // parts: [pieces][queries][heads][2 + dim]

  explicit Few(const Attention& attention) : p(attention) {
    for (int64_t q = 0; q < p.queries; ++q) {
      const int64_t seen = p.last[q] - p.first[q], own = seen > 0 ? (seen + piece_of(seen) - 1) / piece_of(seen) : 0;
      widest = seen > widest ? seen : widest;
      pieces = own > pieces ? own : pieces;
    }
    const int64_t width = p.queries * p.heads * dim;
    query = scratch_floats(width + pieces * p.queries * p.heads * (2 + dim));
    parts = query + width;
    for (int64_t i = 0; i < width; ++i) query[i] = get(static_cast<const T*>(p.q) + i) * p.scale;
  }

  Part part(int64_t index, int64_t q, int64_t head) const {
    float* at = parts + ((index * p.queries + q) * p.heads + head) * (2 + dim);
    return {at[0], at[1], at + 2};
  }

  template <int keys>
  void multiply(const float* x, const T* key, Vec* products) const {
    Vec acc[keys] = {};
    for (int64_t d = 0; d < dim; d += lanes) {
      const Vec input = load(x + d);
      BLT_UNROLLED for (int i = 0; i < keys; ++i) acc[i] += input * load(key + i * stride + d);
    }
    BLT_UNROLLED for (int i = 0; i < keys; ++i) products[i] = acc[i];
  }

  const T* of_head(const void* rows, int64_t row, int64_t head) const {
    return static_cast<const T*>(rows) + row * stride + head / group * dim;
  }

  // Scores of keys [begin, end) for heads [first, last) of one query; the rest of the last vector is masked.
  void score(int64_t q, int64_t first, int64_t last, int64_t begin, int64_t end, bool cached, float (*scores)[most_keys]) const {
    Vec products[most_heads][lanes];
    for (int64_t j = begin; j < end; j += lanes) {
      const int64_t count = least(lanes, end - j);
      if (count < lanes) memset(products, 0, sizeof products);
      const auto multiply_keys = [&](auto keys, int64_t i) __attribute__((always_inline)) {
        for (int64_t head = first; head < last; ++head) {
          multiply<keys>(query + (q * p.heads + head) * dim, of_head(p.k, j + i, head), products[head - first] + i);
        }
      };
      int64_t i = 0;
      for (; cached && i + 4 <= count; i += 4) multiply_keys(std::integral_constant<int, 4>{}, i);
      for (; i < count; ++i) multiply_keys(std::integral_constant<int, 1>{}, i);
      for (int64_t head = first; head < last; ++head) {
        Vec all = sums(products[head - first]);
        for (i = count; i < lanes; ++i) all[i] = -INFINITY;
        store(scores[head - first] + j - begin, all);
      }
    }
  }

  // Scores become weights; their maximum and sum.
  static void soften(int64_t count, float* scores, float* top_and_total) {
    Vec most = load(scores);
    for (int64_t j = lanes; j < count; j += lanes) most = max(most, load(scores + j));
    const float top = maximum(most);
    Vec added{};
    for (int64_t j = 0; j < count; j += lanes) {
      const Vec s = load(scores + j), w = s < -3e38f ? Vec{} : exp(s - top);
      store(scores + j, w);
      added += w;
    }
    top_and_total[0] = top;
    top_and_total[1] = sum(added);
  }

  template <int vectors>
  void add_values(const T* v, const float* weights, int64_t count, float* out) const {
    Vec acc[vectors];
    BLT_UNROLLED for (int i = 0; i < vectors; ++i) acc[i] = load(out + i * lanes);
    for (int64_t j = 0; j < count; ++j) {
      BLT_UNROLLED for (int i = 0; i < vectors; ++i) acc[i] += load(v + j * stride + i * lanes) * weights[j];
    }
    BLT_UNROLLED for (int i = 0; i < vectors; ++i) store(out + i * lanes, acc[i]);
  }

  void run_piece(int64_t index, int64_t first, int64_t last) const {
    alignas(64) float scores[most_heads][most_keys];
    for (int64_t q = 0; q < p.queries; ++q) {
      const int64_t piece = piece_of(p.last[q] - p.first[q]);
      const int64_t begin = p.first[q] + index * piece, end = least(p.last[q], begin + piece);
      const bool cached = q > 0;
      const int64_t rows = cached ? lanes : 1;
      float* out = parts + ((index * p.queries + q) * p.heads + first) * (2 + dim);
      if (begin >= end) {
        for (int64_t head = first; head < last; ++head) out[(head - first) * (2 + dim)] = -INFINITY;
        continue;
      }
      score(q, first, last, begin, end, cached, scores);
      for (int64_t head = first; head < last; ++head) {
        float* part = out + (head - first) * (2 + dim);
        soften(end - begin, scores[head - first], part);
        memset(part + 2, 0, sizeof(float) * static_cast<size_t>(dim));
      }
      for (int64_t j = begin; j < end; j += rows) {
        for (int64_t head = first; head < last; ++head) {
          const T* v = of_head(p.v, j, head);
          const float* weights = scores[head - first] + j - begin;
          float* to = out + (head - first) * (2 + dim) + 2;
          const int64_t count = least(rows, end - j);
          int64_t d = 0;
          for (; d + 4 * lanes <= dim; d += 4 * lanes) add_values<4>(v + d, weights, count, to + d);
          for (; d < dim; d += lanes) add_values<1>(v + d, weights, count, to + d);
        }
      }
    }
  }

  void join(int64_t q, int64_t head) const {
    float top = -INFINITY, total = 0;
    for (int64_t i = 0; i < pieces; ++i) top = part(i, q, head).top > top ? part(i, q, head).top : top;
    float* sum_out = query + (q * p.heads + head) * dim;  // not needed any more
    memset(sum_out, 0, sizeof(float) * static_cast<size_t>(dim));
    for (int64_t i = 0; i < pieces; ++i) {
      const Part one = part(i, q, head);
      if (one.top == -INFINITY) continue;
      const float share = expf(one.top - top);
      total += one.total * share;
      for (int64_t d = 0; d < dim; d += lanes) store(sum_out + d, load(sum_out + d) + load(one.out + d) * share);
    }
    const float inverse = total > 0 ? 1.0f / total : 0.0f;
    T* out = static_cast<T*>(p.out) + (q * p.heads + head) * dim;
    for (int64_t d = 0; d < dim; d += lanes) store(out + d, load(sum_out + d) * inverse);
    p.log_sum[q * p.heads + head] = total > 0 ? top + logf(total) : 0.0f;
  }
};

template <class T>
void forward(const Attention& p) {
  const Few<T> few(p);
  const int64_t beside = least(most_heads, (run_floats + p.head_dim - 1) / p.head_dim * few.group);
  const int64_t groups = parts(p.heads, beside);
  const auto body = [few, beside, groups](int64_t i) {  // together, as in matvec
    const int64_t first = i % groups * beside;
    few.run_piece(i / groups, first, least(few.p.heads, first + beside));
  };
  if (few.widest * p.queries * p.heads * p.head_dim < 16384) {  // too little to share
    for (int64_t i = 0; i < few.pieces * groups; ++i) body(i);
  } else {
    for_each_task(few.pieces * groups, body);
  }
  for (int64_t i = 0; i < p.queries * p.heads; ++i) few.join(i / p.heads, i % p.heads);
}

}  // namespace few
}  // namespace blt::kernels::BLT_ISA
