// SPDX-License-Identifier: MIT
// Attention over key ranges: one block a tile of queries and head, with an online softmax over
// tiles of the keys that some query of the tile sees (Milakov & Gimelshein 2018; Dao et al. 2022).
#pragma once

#include "tiles.cuh"

namespace blt::kernels::gpu {

// The queries of a block: all of one head.
struct QueryBlock {
  int64_t begin, head, kv_head, count;

  BLT_DEVICE QueryBlock(const Attention& p, int64_t block, int64_t rows)
      : begin(block / p.heads * rows),
        head(block % p.heads),
        kv_head(head / (p.heads / p.kv_heads)),
        count(least(rows, p.queries - begin)) {}
  BLT_DEVICE int64_t offset(const Attention& p) const {
    return (begin * p.heads + head) * p.head_dim;
  }
  BLT_DEVICE static int64_t q_stride(const Attention& p) { return p.heads * p.head_dim; }
  BLT_DEVICE static int64_t k_stride(const Attention& p) { return p.kv_heads * p.head_dim; }
};

// One thread's part of copying the tile's key ranges; empty past count.
BLT_DEVICE void load_ranges(int thread, const Attention& p, int64_t begin, int64_t count, int rows,
                            int32_t* first, int32_t* last) {
  if (thread >= rows) return;
  first[thread] = thread < count ? p.first[begin + thread] : 0;
  last[thread] = thread < count ? p.last[begin + thread] : 0;
}

// The keys [begin, end) that some query sees; none: begin >= end.
struct KeySpan {
  int64_t begin, end;

  BLT_DEVICE KeySpan(const int32_t* first, const int32_t* last, int rows)
      : begin(INT64_MAX), end(0) {
    for (int i = 0; i < rows; ++i) {
      if (first[i] >= last[i]) continue;
      begin = least(begin, first[i]);
      end = most(end, last[i]);
    }
  }
};

template <class T, int D>
struct AttentionKernel {
  using Params = Attention;
  using S = Tile<D>;
  static constexpr const char* name = "attention";
  static constexpr int threads = S::threads;

  struct alignas(16) Shared {
    float query[S::rows * S::stride];
    float key[S::columns * S::stride];
    float value[S::columns * S::stride];
    float weight[S::rows * S::weight_stride];
    int32_t first[S::rows], last[S::rows];
  };
  using Rows = Row<float, S::per_row>;

  // Scores -> masked scores and their maxima by rows.
  BLT_DEVICE static void mask(int t, const Shared& s, int64_t key0, typename S::Scores& scores,
                              Rows& high) {
    BLT_UNROLL
    for (int i = 0; i < S::per_row; ++i) {
      const int row = tile_y(t) * S::per_row + i;
      high.x[i] = -INFINITY;
      BLT_UNROLL
      for (int j = 0; j < S::per_column; ++j) {
        const int64_t key = key0 + tile_x(t) + side * j;
        if (key < s.first[row] || key >= s.last[row]) scores.x[i][j] = -INFINITY;
        high.x[i] = Maximum::of(high.x[i], scores.x[i][j]);
      }
    }
  }

  // One step of the online softmax: weights to shared memory; the running maximum, sum and output
  // shrink to match.
  BLT_DEVICE static void soften(int t, Shared& s, const typename S::Scores& scores,
                                const Rows& high, Rows& top, Rows& total, Rows& added,
                                typename S::Output& out) {
    BLT_UNROLL
    for (int i = 0; i < S::per_row; ++i) {
      if (high.x[i] > top.x[i]) {
        const float shrink = expf(top.x[i] - high.x[i]);  // 0 at the first key
        total.x[i] *= shrink;
        scale_row<D>(out, i, shrink);
        top.x[i] = high.x[i];
      }
      added.x[i] = 0;
      BLT_UNROLL
      for (int j = 0; j < S::per_column; ++j) {
        const float score = scores.x[i][j],
                    weight = score == -INFINITY ? 0.0f : expf(score - top.x[i]);
        s.weight[(tile_y(t) * S::per_row + i) * S::weight_stride + tile_x(t) + side * j] = weight;
        added.x[i] += weight;
      }
    }
  }

  BLT_DEVICE static void finish(int t, const Params& p, const QueryBlock& q, const Rows& top,
                                const Rows& total, typename S::Output& out) {
    BLT_UNROLL
    for (int i = 0; i < S::per_row; ++i) {
      const int64_t row = tile_y(t) * S::per_row + i;
      if (row >= q.count) continue;
      scale_row<D>(out, i, total.x[i] > 0 ? 1.0f / total.x[i] : 0.0f);
      write_row<D>(t, out, i, p.head_dim, static_cast<T*>(p.out) + q.offset(p),
                   QueryBlock::q_stride(p));
      if (tile_x(t) == 0) {
        p.log_sum[(q.begin + row) * p.heads + q.head] =
            total.x[i] > 0 ? top.x[i] + logf(total.x[i]) : 0.0f;
      }
    }
  }

  template <class Block>
  BLT_DEVICE static void run(const Params& p, Block& block, Shared& s) {
    const QueryBlock q(p, block.index(), S::rows);
    const int64_t k_stride = QueryBlock::k_stride(p);
    const T* k = static_cast<const T*>(p.k) + q.kv_head * p.head_dim;
    const T* v = static_cast<const T*>(p.v) + q.kv_head * p.head_dim;
    auto scores = block.template registers<typename S::Scores>();
    auto out = block.template registers<typename S::Output>();
    auto high = block.template registers<Rows>();
    auto top = block.template registers<Rows>();
    auto total = block.template registers<Rows>();
    auto added = block.template registers<Rows>();
    block.phase([&](int t) {
      clear<D>(out[t]);
      BLT_UNROLL
      for (int i = 0; i < S::per_row; ++i) top[t].x[i] = -INFINITY, total[t].x[i] = 0;
      load_ranges(t, p, q.begin, q.count, S::rows, s.first, s.last);
      load_tile<D>(t, static_cast<const T*>(p.q) + q.offset(p), QueryBlock::q_stride(p), q.count,
                   S::rows, p.head_dim, p.scale, s.query);
    });
    const KeySpan span(s.first, s.last, S::rows);
    for (int64_t key0 = span.begin; key0 < span.end; key0 += S::columns) {
      block.phase([&](int t) {
        load_tile<D>(t, k + key0 * k_stride, k_stride, span.end - key0, S::columns, p.head_dim,
                     1.0f, s.key);
        load_tile<D>(t, v + key0 * k_stride, k_stride, span.end - key0, S::columns, p.head_dim,
                     1.0f, s.value);
      });
      block.phase([&](int t) {
        dot_rows<D>(t, s.query, s.key, scores[t]);
        mask(t, s, key0, scores[t], high[t]);
      });
      block.template combine<side, Maximum>(high);
      block.phase(
          [&](int t) { soften(t, s, scores[t], high[t], top[t], total[t], added[t], out[t]); });
      block.template combine<side, Sum>(added);
      block.phase([&](int t) {
        BLT_UNROLL
        for (int i = 0; i < S::per_row; ++i) total[t].x[i] += added[t].x[i];
        add_weighted<D>(t, s.weight, s.value, out[t]);
      });
    }
    block.each([&](int t) { finish(t, p, q, top[t], total[t], out[t]); });
  }
};

}  // namespace blt::kernels::gpu
