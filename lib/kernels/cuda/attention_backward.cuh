// SPDX-License-Identifier: MIT
// Gradients of attention without atomics: dq by tiles of queries, dk and dv by tiles of keys. Both
// compute the weights P = exp(S - log_sum) and dS = P (dP - delta) scale again, with delta = dout .
// out.
#pragma once

#include "attention.cuh"

namespace blt::kernels::gpu {

template <class T, int D>
struct QueryGradient {
  using Params = AttentionBackward;
  using S = Tile<D>;
  static constexpr const char* name = "attention_backward (dq)";
  static constexpr int threads = S::threads;

  struct alignas(16) Shared {
    float query[S::rows * S::stride];
    float dout[S::rows * S::stride];
    float key[S::columns * S::stride];
    float value[S::columns * S::stride];
    float dscore[S::rows * S::weight_stride];
    int32_t first[S::rows], last[S::rows];
  };
  using Rows = Row<float, S::per_row>;

  // The thread's part of delta, and log_sum, of its rows.
  BLT_DEVICE static void read_sums(int t, const Params& b, const QueryBlock& q, Rows& delta,
                                   Rows& log_sum) {
    const Attention& p = b.forward;
    BLT_UNROLL
    for (int i = 0; i < S::per_row; ++i) {
      const int64_t row = tile_y(t) * S::per_row + i;
      delta.x[i] = log_sum.x[i] = 0;
      if (row >= q.count) continue;
      const int64_t offset = q.offset(p) + row * QueryBlock::q_stride(p);
      for (int64_t d = tile_x(t); d < p.head_dim; d += side) {
        delta.x[i] += get(static_cast<const T*>(b.dout) + offset + d) *
                      get(static_cast<const T*>(p.out) + offset + d);
      }
      log_sum.x[i] = p.log_sum[(q.begin + row) * p.heads + q.head];
    }
  }

  BLT_DEVICE static void differentiate(int t, const Attention& p, Shared& s, int64_t key0,
                                       const Rows& delta, const Rows& log_sum) {
    typename S::Scores scores, dweights;
    dot_rows<D>(t, s.query, s.key, scores);
    dot_rows<D>(t, s.dout, s.value, dweights);
    BLT_UNROLL
    for (int i = 0; i < S::per_row; ++i) {
      const int row = tile_y(t) * S::per_row + i;
      BLT_UNROLL
      for (int j = 0; j < S::per_column; ++j) {
        const int column = tile_x(t) + side * j;
        const bool seen = key0 + column >= s.first[row] && key0 + column < s.last[row];
        const float weight = seen ? expf(scores.x[i][j] * p.scale - log_sum.x[i]) : 0.0f;
        s.dscore[row * S::weight_stride + column] =
            seen ? weight * (dweights.x[i][j] - delta.x[i]) * p.scale : 0.0f;
      }
    }
  }

  template <class Block>
  BLT_DEVICE static void run(const Params& b, Block& block, Shared& s) {
    const Attention& p = b.forward;
    const QueryBlock q(p, block.index(), S::rows);
    const int64_t q_stride = QueryBlock::q_stride(p), k_stride = QueryBlock::k_stride(p);
    const T* k = static_cast<const T*>(p.k) + q.kv_head * p.head_dim;
    const T* v = static_cast<const T*>(p.v) + q.kv_head * p.head_dim;
    auto dq = block.template registers<typename S::Output>();
    auto delta = block.template registers<Rows>();
    auto log_sum = block.template registers<Rows>();
    block.phase([&](int t) {
      clear<D>(dq[t]);
      read_sums(t, b, q, delta[t], log_sum[t]);
      load_ranges(t, p, q.begin, q.count, S::rows, s.first, s.last);
      const T* query = static_cast<const T*>(p.q) + q.offset(p);
      const T* dout = static_cast<const T*>(b.dout) + q.offset(p);
      load_tile<D>(t, query, q_stride, q.count, S::rows, p.head_dim, 1.0f, s.query);
      load_tile<D>(t, dout, q_stride, q.count, S::rows, p.head_dim, 1.0f, s.dout);
    });
    block.template combine<side, Sum>(delta);
    const KeySpan span(s.first, s.last, S::rows);
    for (int64_t key0 = span.begin; key0 < span.end; key0 += S::columns) {
      block.phase([&](int t) {
        load_tile<D>(t, k + key0 * k_stride, k_stride, span.end - key0, S::columns, p.head_dim,
                     1.0f, s.key);
        load_tile<D>(t, v + key0 * k_stride, k_stride, span.end - key0, S::columns, p.head_dim,
                     1.0f, s.value);
      });
      block.phase([&](int t) { differentiate(t, p, s, key0, delta[t], log_sum[t]); });
      block.phase([&](int t) { add_weighted<D>(t, s.dscore, s.key, dq[t]); });
    }
    block.each([&](int t) {
      BLT_UNROLL
      for (int i = 0; i < S::per_row; ++i) {
        if (tile_y(t) * S::per_row + i >= q.count) continue;
        write_row<D>(t, dq[t], i, p.head_dim, static_cast<T*>(b.dq) + q.offset(p), q_stride);
      }
    });
  }
};

// The lowest i in [begin, end) with values[i] >= bound, else end; values are non-decreasing.
BLT_DEVICE int64_t lower_bound(const int32_t* values, int64_t begin, int64_t end, int64_t bound) {
  while (begin < end) {
    const int64_t middle = begin + (end - begin) / 2;
    if (values[middle] < bound)
      begin = middle + 1;
    else
      end = middle;
  }
  return begin;
}

// Queries [low, high) hold all that see a key of [key0, key_end): within a task whose key range
// meets these keys, first and last are sorted. This thread looks at every `step`th task.
BLT_DEVICE void find_queries(const Attention& p, int64_t start, int64_t step, int64_t key0,
                             int64_t key_end, int32_t& low, int32_t& high) {
  low = INT32_MAX;
  high = 0;
  for (int64_t task = start; task < p.task_count; task += step) {
    const int64_t begin = p.tasks[task], end = p.tasks[task + 1];
    if (begin == end || p.last[end - 1] <= key0 || p.first[begin] >= key_end) continue;
    const int64_t from = lower_bound(p.last, begin, end, key0 + 1),
                  to = lower_bound(p.first, begin, end, key_end);
    if (from >= to) continue;
    low = static_cast<int32_t>(least(low, from));
    high = static_cast<int32_t>(most(high, to));
  }
}

template <class T, int D>
struct KeyGradient {
  using Params = AttentionBackward;
  using S = Tile<D>;
  static constexpr const char* name = "attention_backward (dk, dv)";
  static constexpr int threads = S::threads;
  static constexpr int share = threads / S::columns;  // threads that sum one query's delta
  static constexpr int warps = threads / warp;

  struct alignas(16) Shared {
    float key[S::rows * S::stride];
    float value[S::rows * S::stride];
    float query[S::columns * S::stride];
    float dout[S::columns * S::stride];
    float weight[S::rows * S::weight_stride];
    float dscore[S::rows * S::weight_stride];
    float log_sum[S::columns], delta[S::columns];
    int32_t first[S::columns], last[S::columns];
    int32_t low[warps], high[warps];
  };
  using Seen = Row<int32_t, S::per_row>;

  // The thread's part of one query's delta.
  BLT_DEVICE static float partial_delta(int t, const Params& b, int64_t query, int64_t query_end,
                                        int64_t head) {
    const Attention& p = b.forward;
    const int64_t row = query + t / share;
    if (row >= query_end) return 0;
    const int64_t offset = (row * p.heads + head) * p.head_dim;
    float sum = 0;
    for (int64_t d = t % share; d < p.head_dim; d += share) {
      sum += get(static_cast<const T*>(b.dout) + offset + d) *
             get(static_cast<const T*>(p.out) + offset + d);
    }
    return sum;
  }

  BLT_DEVICE static void load_queries(int t, const Params& b, Shared& s, int64_t query,
                                      int64_t query_end, int64_t head, float delta) {
    const Attention& p = b.forward;
    const int64_t count = query_end - query, q_stride = QueryBlock::q_stride(p);
    const int64_t offset = (query * p.heads + head) * p.head_dim;
    load_tile<D>(t, static_cast<const T*>(p.q) + offset, q_stride, count, S::columns, p.head_dim,
                 1.0f, s.query);
    load_tile<D>(t, static_cast<const T*>(b.dout) + offset, q_stride, count, S::columns, p.head_dim,
                 1.0f, s.dout);
    load_ranges(t, p, query, count, S::columns, s.first, s.last);
    if (t % share == 0) s.delta[t / share] = delta;
    if (t < S::columns) s.log_sum[t] = t < count ? p.log_sum[(query + t) * p.heads + head] : 0.0f;
  }

  BLT_DEVICE static void differentiate(int t, const Attention& p, Shared& s, int64_t key0,
                                       Seen& any) {
    typename S::Scores scores, dweights;
    dot_rows<D>(t, s.key, s.query, scores);
    dot_rows<D>(t, s.value, s.dout, dweights);
    BLT_UNROLL
    for (int i = 0; i < S::per_row; ++i) {
      const int row = tile_y(t) * S::per_row + i;
      BLT_UNROLL
      for (int j = 0; j < S::per_column; ++j) {
        const int column = tile_x(t) + side * j;
        const bool seen = key0 + row >= s.first[column] && key0 + row < s.last[column];
        const float weight = seen ? expf(scores.x[i][j] * p.scale - s.log_sum[column]) : 0.0f;
        s.weight[row * S::weight_stride + column] = weight;
        s.dscore[row * S::weight_stride + column] =
            seen ? weight * (dweights.x[i][j] - s.delta[column]) * p.scale : 0.0f;
        if (seen) any.x[i] = 1;
      }
    }
  }

  template <class Block>
  BLT_DEVICE static void run(const Params& b, Block& block, Shared& s) {
    const Attention& p = b.forward;
    const int64_t key0 = block.index() / p.kv_heads * S::rows, kv_head = block.index() % p.kv_heads;
    const int64_t count = least(S::rows, p.keys - key0), group = p.heads / p.kv_heads;
    const int64_t k_stride = QueryBlock::k_stride(p),
                  offset = key0 * k_stride + kv_head * p.head_dim;
    auto dk = block.template registers<typename S::Output>();
    auto dv = block.template registers<typename S::Output>();
    auto any = block.template registers<Seen>();
    auto low = block.template registers<Row<int32_t, 1>>();
    auto high = block.template registers<Row<int32_t, 1>>();
    auto delta = block.template registers<Row<float, 1>>();

    block.each(
        [&](int t) { find_queries(p, t, threads, key0, key0 + count, low[t].x[0], high[t].x[0]); });
    block.template combine<warp, Minimum>(low);
    block.template combine<warp, Maximum>(high);
    block.phase([&](int t) {
      if (t % warp == 0) s.low[t / warp] = low[t].x[0], s.high[t / warp] = high[t].x[0];
      clear<D>(dk[t]);
      clear<D>(dv[t]);
      BLT_UNROLL
      for (int i = 0; i < S::per_row; ++i) any[t].x[i] = 0;
      load_tile<D>(t, static_cast<const T*>(p.k) + offset, k_stride, count, S::rows, p.head_dim,
                   1.0f, s.key);
      load_tile<D>(t, static_cast<const T*>(p.v) + offset, k_stride, count, S::rows, p.head_dim,
                   1.0f, s.value);
    });
    int64_t query_begin = s.low[0], query_end = s.high[0];
    for (int i = 1; i < warps; ++i) {
      query_begin = least(query_begin, s.low[i]);
      query_end = most(query_end, s.high[i]);
    }

    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (int64_t query = query_begin; query < query_end; query += S::columns) {
        block.each([&](int t) { delta[t].x[0] = partial_delta(t, b, query, query_end, head); });
        block.template combine<share, Sum>(delta);
        block.phase([&](int t) { load_queries(t, b, s, query, query_end, head, delta[t].x[0]); });
        block.phase([&](int t) { differentiate(t, p, s, key0, any[t]); });
        block.phase([&](int t) {
          add_weighted<D>(t, s.weight, s.dout, dv[t]);
          add_weighted<D>(t, s.dscore, s.query, dk[t]);
        });
      }
    }
    block.template combine<side, Maximum>(any);
    block.each([&](int t) {
      BLT_UNROLL
      for (int i = 0; i < S::per_row; ++i) {
        if (!any[t].x[i]) continue;  // no query sees this key
        write_row<D>(t, dk[t], i, p.head_dim, static_cast<T*>(b.dk) + offset, k_stride);
        write_row<D>(t, dv[t], i, p.head_dim, static_cast<T*>(b.dv) + offset, k_stride);
      }
    });
  }
};

}  // namespace blt::kernels::gpu
