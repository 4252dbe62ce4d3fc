// SPDX-License-Identifier: MIT
// Attention over key ranges, by tiles with an online softmax (Milakov & Gimelshein 2018; Dao et al. 2022). Key tiles are
// converted to float32 and transposed once a task and head, into a ring that is as long as the widest query tile's range.
#include <math.h>
#include <stdlib.h>

#include "attention_few.h"
#include "attention_short.h"
#include "tile.h"

namespace blt::kernels::BLT_ISA {
namespace {

constexpr int64_t tile = 64;  // queries and keys a tile

struct Shape {
  int64_t dim, padded, group, q_stride, k_stride;
};

Shape shape_of(const Attention& p) {
  return {p.head_dim, (p.head_dim + lanes - 1) / lanes * lanes, p.heads / p.kv_heads, p.heads * p.head_dim,
          p.kv_heads * p.head_dim};
}

// rows x dim of x (stride apart) -> float32 rows of `padded` columns, times factor; rows beyond `rows` become 0.
template <class T>
void read_tile(const T* x, int64_t stride, int64_t rows, const Shape& s, float factor, float* out) {
  for (int64_t i = 0; i < tile; ++i) {
    float* row = out + i * s.padded;
    if (i >= rows) {
      memset(row, 0, sizeof(float) * static_cast<size_t>(s.padded));
      continue;
    }
    int64_t d = 0;
    for (; d + lanes <= s.dim; d += lanes) store(row + d, load(x + i * stride + d) * factor);
    for (; d < s.padded; ++d) row[d] = d < s.dim ? get(x + i * stride + d) * factor : 0.0f;
  }
}

// [tile][padded] -> [padded][tile].
void transpose(const float* in, const Shape& s, float* out) {
  for (int64_t i0 = 0; i0 < tile; i0 += lanes) {
    for (int64_t d = 0; d < s.padded; ++d) {
      float* to = out + d * tile + i0;
      const float* from = in + i0 * s.padded + d;
      for (int64_t i = 0; i < lanes; ++i) to[i] = from[i * s.padded];
    }
  }
}

template <class T>
void write_rows(const float* in, int64_t rows, const Shape& s, T* out, int64_t stride) {
  for (int64_t i = 0; i < rows; ++i) {
    int64_t d = 0;
    for (; d + lanes <= s.dim; d += lanes) store(out + i * stride + d, load(in + i * s.padded + d));
    for (; d < s.dim; ++d) put(out + i * stride + d, in[i * s.padded + d]);
  }
}

// The queries [begin, end) of one tile and the key tiles that they need, counted from the task's first key.
struct QueryTile {
  int64_t begin, rows, tile_begin, tile_end;
};

struct Task {
  const Attention& p;
  int64_t begin, end, key_base, key_end, ring;

  Task(const Attention& attention, int64_t index)
      : p(attention), begin(p.tasks[index]), end(p.tasks[index + 1]), key_base(0), key_end(0), ring(1) {
    if (begin == end) return;
    key_base = p.first[begin];
    key_end = p.last[end - 1];
    for (int64_t q = begin; q < end; q += tile) {
      const QueryTile t = query_tile(q);
      if (t.tile_end - t.tile_begin > ring) ring = t.tile_end - t.tile_begin;
    }
  }

  QueryTile query_tile(int64_t q) const {
    const int64_t rows = least(tile, end - q);
    return {q, rows, (p.first[q] - key_base) / tile, (p.last[q + rows - 1] - key_base + tile - 1) / tile};
  }
  int64_t widest() const {
    int64_t most = 0;
    for (int64_t q = begin; q < end; ++q) most = p.last[q] - p.first[q] > most ? p.last[q] - p.first[q] : most;
    return most;
  }
};

// Masks scores outside each query's range; whole vectors inside it are left alone.
void mask(const Attention& p, const QueryTile& t, int64_t key0, float* scores) {
  for (int64_t i = 0; i < t.rows; ++i) {
    const int64_t low = p.first[t.begin + i] - key0, high = p.last[t.begin + i] - key0;
    float* row = scores + i * tile;
    for (int64_t j = 0; j < tile && j < low; ++j) row[j] = -INFINITY;
    for (int64_t j = high > 0 ? high : 0; j < tile; ++j) row[j] = -INFINITY;
  }
}

// One step of the online softmax on a row of scores: scores become weights, the running maximum and sum are kept.
void soften(float* row, float* top, float* total, float* out, int64_t padded) {
  Vec most = load(row);
  for (int64_t j = lanes; j < tile; j += lanes) most = max(most, load(row + j));
  const float high = maximum(most);
  if (high == -INFINITY) {
    memset(row, 0, sizeof(float) * tile);
    return;
  }
  if (high > *top) {
    const float shrink = *top == -INFINITY ? 0.0f : expf(*top - high);
    *total *= shrink;
    for (int64_t d = 0; d < padded; d += lanes) store(out + d, load(out + d) * shrink);
    *top = high;
  }
  Vec added{};
  for (int64_t j = 0; j < tile; j += lanes) {
    const Vec scores = load(row + j);
    const Vec weights = scores < -3e38f ? Vec{} : exp(scores - *top);
    store(row + j, weights);
    added += weights;
  }
  *total += sum(added);
}

template <class T>
void forward_head(const Task& task, int64_t head) {
  const Attention& p = task.p;
  const Shape s = shape_of(p);
  const int64_t kv = head / s.group, size = tile * s.padded;
  const T* k = static_cast<const T*>(p.k) + kv * s.dim;
  const T* v = static_cast<const T*>(p.v) + kv * s.dim;
  float* scratch = scratch_floats((2 * task.ring + 3) * size + tile * tile + 2 * tile);
  float *keys = scratch, *values = keys + task.ring * size, *query = values + task.ring * size, *out = query + size,
        *plain = out + size, *scores = plain + size, *top = scores + tile * tile, *total = top + tile;
  int64_t loaded = 0;  // key tiles below this are or were in the ring
  for (int64_t q = task.begin; q < task.end; q += tile) {
    const QueryTile t = task.query_tile(q);
    read_tile(static_cast<const T*>(p.q) + q * s.q_stride + head * s.dim, s.q_stride, t.rows, s, p.scale, query);
    memset(out, 0, sizeof(float) * static_cast<size_t>(size));
    for (int64_t i = 0; i < tile; ++i) top[i] = -INFINITY, total[i] = 0;
    if (loaded < t.tile_begin) loaded = t.tile_begin;
    for (int64_t kt = t.tile_begin; kt < t.tile_end; ++kt) {
      const int64_t key0 = task.key_base + kt * tile, rows = least(tile, task.key_end - key0);
      float* key = keys + kt % task.ring * size;
      float* value = values + kt % task.ring * size;
      if (kt >= loaded) {
        read_tile(k + key0 * s.k_stride, s.k_stride, rows, s, 1.0f, plain);
        transpose(plain, s, key);
        read_tile(v + key0 * s.k_stride, s.k_stride, rows, s, 1.0f, value);
        loaded = kt + 1;
      }
      tile_product(t.rows, tile, s.padded, query, s.padded, 1, key, tile, scores, tile, false);
      mask(p, t, key0, scores);
      for (int64_t i = 0; i < t.rows; ++i) soften(scores + i * tile, top + i, total + i, out + i * s.padded, s.padded);
      tile_product(t.rows, s.padded, tile, scores, tile, 1, value, s.padded, out, s.padded, true);
    }
    for (int64_t i = 0; i < t.rows; ++i) {
      const float inverse = total[i] > 0 ? 1.0f / total[i] : 0.0f;
      for (int64_t d = 0; d < s.padded; d += lanes) store(out + i * s.padded + d, load(out + i * s.padded + d) * inverse);
      p.log_sum[(q + i) * p.heads + head] = total[i] > 0 ? top[i] + logf(total[i]) : 0.0f;
    }
    write_rows(out, t.rows, s, static_cast<T*>(p.out) + q * s.q_stride + head * s.dim, s.q_stride);
  }
}

// Tiles of one key range in the backward's ring.
struct KeyTile {
  float *key, *key_t, *value_t, *dkey, *dvalue;
};

template <class T>
struct Backward {
  const Task& task;
  const AttentionBackward& b;
  const Attention& p = b.forward;
  Shape s = shape_of(p);
  int64_t kv, size = tile * s.padded;
  float *ring, *query, *dout, *dquery, *plain, *weights, *dscores, *delta;

  Backward(const Task& t, const AttentionBackward& backward, int64_t kv_head) : task(t), b(backward), kv(kv_head) {
    float* scratch = scratch_floats((5 * task.ring + 4) * size + 2 * tile * tile + tile);
    ring = scratch;
    query = ring + 5 * task.ring * size;
    dout = query + size;
    dquery = dout + size;
    plain = dquery + size;
    weights = plain + size;
    dscores = weights + tile * tile;
    delta = dscores + tile * tile;
  }

  KeyTile slot(int64_t kt) const {
    float* base = ring + kt % task.ring * 5 * size;
    return {base, base + size, base + 2 * size, base + 3 * size, base + 4 * size};
  }
  int64_t key_rows(int64_t kt) const { return least(tile, task.key_end - task.key_base - kt * tile); }
  int64_t key_offset(int64_t kt) const { return (task.key_base + kt * tile) * s.k_stride + kv * s.dim; }

  void fetch(int64_t kt) const {
    const KeyTile t = slot(kt);
    read_tile(static_cast<const T*>(p.k) + key_offset(kt), s.k_stride, key_rows(kt), s, 1.0f, t.key);
    transpose(t.key, s, t.key_t);
    read_tile(static_cast<const T*>(p.v) + key_offset(kt), s.k_stride, key_rows(kt), s, 1.0f, plain);
    transpose(plain, s, t.value_t);
    memset(t.dkey, 0, sizeof(float) * static_cast<size_t>(2 * size));
  }
  void flush(int64_t kt) const {
    const KeyTile t = slot(kt);
    write_rows(t.dkey, key_rows(kt), s, static_cast<T*>(b.dk) + key_offset(kt), s.k_stride);
    write_rows(t.dvalue, key_rows(kt), s, static_cast<T*>(b.dv) + key_offset(kt), s.k_stride);
  }

  void load_queries(const QueryTile& t, int64_t head) const {
    const int64_t offset = t.begin * s.q_stride + head * s.dim;
    read_tile(static_cast<const T*>(p.q) + offset, s.q_stride, t.rows, s, 1.0f, query);
    read_tile(static_cast<const T*>(b.dout) + offset, s.q_stride, t.rows, s, 1.0f, dout);
    read_tile(static_cast<const T*>(p.out) + offset, s.q_stride, t.rows, s, 1.0f, plain);
    for (int64_t i = 0; i < t.rows; ++i) {
      Vec dot{};
      for (int64_t d = 0; d < s.padded; d += lanes) dot += load(dout + i * s.padded + d) * load(plain + i * s.padded + d);
      delta[i] = sum(dot);
    }
    memset(dquery, 0, sizeof(float) * static_cast<size_t>(size));
  }

  // Scores -> weights P = exp(S - log_sum) and dS = P (dP - delta), both scaled as the products below need them.
  void differentiate(const QueryTile& t, int64_t head, int64_t key0) const {
    for (int64_t i = 0; i < t.rows; ++i) {
      const float log_sum = p.log_sum[(t.begin + i) * p.heads + head];
      float *w = weights + i * tile, *ds = dscores + i * tile;
      for (int64_t j = 0; j < tile; j += lanes) {
        const Vec weight = exp(load(w + j) * p.scale - log_sum);
        store(w + j, weight);
        store(ds + j, weight * (load(ds + j) - delta[i]) * p.scale);
      }
      const int64_t low = p.first[t.begin + i] - key0, high = p.last[t.begin + i] - key0;
      for (int64_t j = 0; j < tile && j < low; ++j) w[j] = ds[j] = 0;
      for (int64_t j = high > 0 ? high : 0; j < tile; ++j) w[j] = ds[j] = 0;
    }
  }

  void run() const {
    int64_t loaded = 0, flushed = 0;
    for (int64_t q = task.begin; q < task.end; q += tile) {
      const QueryTile t = task.query_tile(q);
      for (; flushed < t.tile_begin && flushed < loaded; ++flushed) flush(flushed);
      if (flushed < t.tile_begin) flushed = t.tile_begin;
      if (loaded < t.tile_begin) loaded = t.tile_begin;
      for (; loaded < t.tile_end; ++loaded) fetch(loaded);
      for (int64_t head = kv * s.group; head < (kv + 1) * s.group; ++head) {
        load_queries(t, head);
        for (int64_t kt = t.tile_begin; kt < t.tile_end; ++kt) products(t, head, kt);
        write_rows(dquery, t.rows, s, static_cast<T*>(b.dq) + t.begin * s.q_stride + head * s.dim, s.q_stride);
      }
    }
    for (; flushed < loaded; ++flushed) flush(flushed);
  }

  void products(const QueryTile& t, int64_t head, int64_t kt) const {
    const KeyTile k = slot(kt);
    tile_product(t.rows, tile, s.padded, query, s.padded, 1, k.key_t, tile, weights, tile, false);
    tile_product(t.rows, tile, s.padded, dout, s.padded, 1, k.value_t, tile, dscores, tile, false);
    differentiate(t, head, task.key_base + kt * tile);
    tile_product(tile, s.padded, t.rows, weights, 1, tile, dout, s.padded, k.dvalue, s.padded, true);
    tile_product(tile, s.padded, t.rows, dscores, 1, tile, query, s.padded, k.dkey, s.padded, true);
    tile_product(t.rows, s.padded, tile, dscores, tile, 1, k.key, s.padded, dquery, s.padded, true);
  }
};

constexpr int64_t short_range = 24;  // up to here, tiles of 64 keys would be mostly mask

template <class T>
void forward(const Attention& p) {
  if (few::fits(p)) return few::forward<T>(p);
  for_each_task(p.task_count * p.heads, [&](int64_t i) {
    const Task task(p, i / p.heads);
    if (task.begin == task.end) return;
    if (task.widest() <= short_range) short_forward<T>(p, task.begin, task.end, i % p.heads);
    else forward_head<T>(task, i % p.heads);
  });
}

template <class T>
void backward(const AttentionBackward& b) {
  const Attention& p = b.forward;
  for_each_task(p.task_count * p.kv_heads, [&](int64_t i) {
    const Task task(p, i / p.kv_heads);
    if (task.begin == task.end) return;
    if (task.widest() <= short_range) short_backward<T>(b, task.begin, task.end, i % p.kv_heads);
    else Backward<T>(task, b, i % p.kv_heads).run();
  });
}

}  // namespace

void attention(const Attention& p) {
  p.type == Element::f32 ? forward<float>(p) : forward<Bf16>(p);
}
void attention_backward(const AttentionBackward& p) {
  p.forward.type == Element::f32 ? backward<float>(p) : backward<Bf16>(p);
}

}  // namespace blt::kernels::BLT_ISA
