// SPDX-License-Identifier: MIT
// Attention of a few queries, as in decoding: one block a query and head. Warps share out the keys, and each keeps an online
// softmax of its own; at the end they are put together.
#pragma once

#include "attention.cuh"

namespace blt::kernels::gpu {

template <class T, int D>
struct AttentionFewKernel {
  using Params = Attention;
  static constexpr const char* name = "attention of a few queries";
  static constexpr int threads = 256;
  static constexpr int warps = threads / warp;
  static constexpr int keys = 4;        // of a warp at a time
  static constexpr int own = D / warp;  // numbers of a head that a lane holds: lane, lane + 32, ...

  struct Shared {
    float out[warps][D];
    float top[warps], total[warps];
  };
  using Numbers = Row<float, own>;
  using Scores = Row<float, keys>;
  using One = Row<float, 1>;

  BLT_DEVICE static int64_t key_of(int thread, int64_t key0, int i) { return key0 + (thread / warp) * keys + i; }
  // A lane's numbers of one head; zeros past its end.
  BLT_DEVICE static Numbers load(const T* head, int lane, int64_t dim) {
    Numbers out;
    BLT_UNROLL
    for (int i = 0; i < own; ++i) {
      const int64_t d = lane + warp * i;
      out.x[i] = d < dim ? get(head + d) : 0.0f;
    }
    return out;
  }

  template <class Block>
  BLT_DEVICE static void run(const Params& p, Block& block, Shared& s) {
    const int64_t query = block.index() / p.heads, head = block.index() % p.heads;
    const int64_t kv_head = head / (p.heads / p.kv_heads), stride = p.kv_heads * p.head_dim;
    const int64_t first = p.first[query], last = p.last[query];
    const int64_t at = (query * p.heads + head) * p.head_dim;
    const T* k = static_cast<const T*>(p.k) + kv_head * p.head_dim;
    const T* v = static_cast<const T*>(p.v) + kv_head * p.head_dim;
    auto q = block.template registers<Numbers>();
    auto out = block.template registers<Numbers>();
    auto scores = block.template registers<Scores>();
    auto top = block.template registers<One>();
    auto total = block.template registers<One>();
    block.each([&](int t) {
      q[t] = load(static_cast<const T*>(p.q) + at, t % warp, p.head_dim);
      BLT_UNROLL
      for (int i = 0; i < own; ++i) {
        q[t].x[i] *= p.scale;
        out[t].x[i] = 0;
      }
      top[t].x[0] = -INFINITY;
      total[t].x[0] = 0;
    });
    for (int64_t key0 = first; key0 < last; key0 += warps * keys) {
      block.each([&](int t) {
        BLT_UNROLL
        for (int i = 0; i < keys; ++i) {
          const int64_t key = key_of(t, key0, i);
          float sum = 0;
          if (key < last) {
            const Numbers numbers = load(k + key * stride, t % warp, p.head_dim);
            BLT_UNROLL
            for (int e = 0; e < own; ++e) sum += q[t].x[e] * numbers.x[e];
          }
          scores[t].x[i] = sum;
        }
      });
      block.template combine<warp, Sum>(scores);
      block.each([&](int t) {
        float high = top[t].x[0];
        BLT_UNROLL
        for (int i = 0; i < keys; ++i) {
          if (key_of(t, key0, i) < last) high = Maximum::of(high, scores[t].x[i]);
        }
        if (high > top[t].x[0]) {
          const float shrink = expf(top[t].x[0] - high);  // 0 at the first key
          total[t].x[0] *= shrink;
          BLT_UNROLL
          for (int e = 0; e < own; ++e) out[t].x[e] *= shrink;
          top[t].x[0] = high;
        }
        BLT_UNROLL
        for (int i = 0; i < keys; ++i) {
          const int64_t key = key_of(t, key0, i);
          if (key >= last) continue;
          const float weight = expf(scores[t].x[i] - high);
          total[t].x[0] += weight;
          const Numbers numbers = load(v + key * stride, t % warp, p.head_dim);
          BLT_UNROLL
          for (int e = 0; e < own; ++e) out[t].x[e] += weight * numbers.x[e];
        }
      });
    }
    block.phase([&](int t) {
      const int w = t / warp, lane = t % warp;
      BLT_UNROLL
      for (int i = 0; i < own; ++i) s.out[w][lane + warp * i] = out[t].x[i];
      if (lane == 0) {
        s.top[w] = top[t].x[0];
        s.total[w] = total[t].x[0];
      }
    });
    block.each([&](int t) {
      float high = -INFINITY, sum = 0;
      for (int w = 0; w < warps; ++w) high = Maximum::of(high, s.top[w]);
      for (int w = 0; w < warps; ++w) sum += s.total[w] > 0 ? s.total[w] * expf(s.top[w] - high) : 0.0f;
      if (t == 0) p.log_sum[query * p.heads + head] = sum > 0 ? high + logf(sum) : 0.0f;
      for (int64_t d = t; d < p.head_dim; d += threads) {
        float x = 0;
        for (int w = 0; w < warps; ++w) x += s.total[w] > 0 ? s.out[w][d] * expf(s.top[w] - high) : 0.0f;
        put(static_cast<T*>(p.out) + at + d, sum > 0 ? x / sum : 0.0f);
      }
    });
  }
};

}  // namespace blt::kernels::gpu
