// SPDX-License-Identifier: MIT
// A transformer's layer over many rows without gradients: each task takes a block of rows through its products while block and
// results lie in the second cache; weights pass by in panels that fit into the first.
#include "attention_short.h"
#include "rows.h"
#include "tile.h"

namespace blt::kernels::BLT_ISA {
namespace {

constexpr int64_t panel = tile_vecs * lanes;  // outputs whose weights lie together: [in][panel]
constexpr int64_t block = 8 * tile_rows;      // rows of a task

int64_t padded(int64_t n, int64_t unit) { return parts(n, unit) * unit; }

Vec round_to_bf16(Vec x) {
  const VecBits bits = reinterpret_cast<const VecBits&>(x);
  const VecBits rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  return reinterpret_cast<const Vec&>(rounded);
}
void round_row(float* x, int64_t n) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(x + i, round_to_bf16(load(x + i)));
  for (; i < n; ++i) {
    Bf16 half;
    put(&half, x[i]);
    x[i] = get(&half);
  }
}

bool rounds(Products products) { return products != Products::f32; }

#if defined(__AVX512F__)
bool multiplies_pairs(Products products) { return products == Products::bf16; }

// As tile_block, of bfloat16 pairs: input 2 p beside 2 p + 1 in a and in b. c = a b.
template <int Rows, int Vecs>
__attribute__((noinline, target("avx512bf16"))) void tile_of_pairs(int64_t pairs, const uint32_t* a, int64_t a_row, const uint32_t* b,
                                                                   float* c) {
  __m512 sums[Rows][Vecs];
  BLT_UNROLLED for (int i = 0; i < Rows; ++i) {
    BLT_UNROLLED for (int j = 0; j < Vecs; ++j) sums[i][j] = (__m512)Vec{};
  }
  for (int64_t p = 0; p < pairs; ++p) {
    __m512bh row[Vecs];
    BLT_UNROLLED for (int j = 0; j < Vecs; ++j) row[j] = (__m512bh)load(reinterpret_cast<const float*>(b) + (p * Vecs + j) * lanes);
    BLT_UNROLLED for (int i = 0; i < Rows; ++i) {
      const __m512bh x = (__m512bh)(VecBits{} + a[i * a_row + p]);
      BLT_UNROLLED for (int j = 0; j < Vecs; ++j) sums[i][j] = _mm512_dpbf16_ps(sums[i][j], row[j], x);
    }
  }
  BLT_UNROLLED for (int i = 0; i < Rows; ++i) {
    BLT_UNROLLED for (int j = 0; j < Vecs; ++j) store(c + (i * Vecs + j) * lanes, (Vec)sums[i][j]);
  }
}
#else
bool multiplies_pairs(Products) { return false; }
#endif

int64_t pairs_of(int64_t in) { return (in + 1) / 2; }
uint32_t pair(float first, float second) {
  Bf16 halves[2];
  put(&halves[0], first);
  put(&halves[1], second);
  uint32_t bits;
  memcpy(&bits, halves, sizeof bits);
  return bits;
}

// Rows [begin, begin + count) of a task, and its scratch: rows that tiles read are there up to a whole tile.
struct Block {
  int64_t begin, count;
  Products products;
  uint32_t* pairs = nullptr;  // room for the rows of a product as pairs

  Block(int64_t task, int64_t rows, Products kind) : begin(task * block), count(least(block, rows - begin)), products(kind) {}
  // Numbers of scratch for rows this wide.
  static int64_t room(int64_t widest) { return block * pairs_of(widest); }
  // x holds bfloat16 values as floats.
  void to_pairs(const float* x, int64_t stride, int64_t in) const {
    const int64_t whole = in / 2, wide = pairs_of(in);
    for (int64_t i = 0; i < padded(count, tile_rows); ++i) {
      for (int64_t p = 0; p < whole; ++p) {
        uint64_t both;
        memcpy(&both, x + i * stride + 2 * p, sizeof both);
        pairs[i * wide + p] = static_cast<uint32_t>((both >> 16 & 0xffff) | (both >> 32 & 0xffff0000));
      }
      if (whole < wide) pairs[i * wide + whole] = pair(x[i * stride + 2 * whole], 0);
    }
  }
  void clear_rest(float* x, int64_t stride) const {
    const int64_t end = padded(count, tile_rows);
    memset(x + count * stride, 0, sizeof(float) * static_cast<size_t>((end - count) * stride));
  }
  void norm(const float* x, const float* w, int64_t dim, float eps, float* out) const {
    for (int64_t i = 0; i < count; ++i) {
      norm_row(x + (begin + i) * dim, w, dim, eps, out + i * dim);
      if (rounds(products)) round_row(out + i * dim, dim);
    }
    clear_rest(out, dim);
  }
};

// Calls use(row, panel, its `panel` sums over x[row] of packed weights) for all rows of a block.
template <class Use>
void product(const Block& rows, const float* x, int64_t stride, int64_t in, const float* packed, int64_t panels, Use&& use) {
  alignas(64) float sums[tile_rows * panel];
  const bool pairs = multiplies_pairs(rows.products);
  if (pairs) rows.to_pairs(x, stride, in);
  for (int64_t o = 0; o < panels; ++o) {
    for (int64_t i = 0; i < rows.count; i += tile_rows) {
#if defined(__AVX512F__)
      if (pairs) {
        const int64_t wide = pairs_of(in);
        tile_of_pairs<tile_rows, tile_vecs>(wide, rows.pairs + i * wide, wide, reinterpret_cast<const uint32_t*>(packed) + o * panel * wide, sums);
      } else
#endif
      tile_block<tile_rows, tile_vecs>(in, x + i * stride, stride, 1, packed + o * panel * in, panel, sums, panel, false);
      const int64_t count = least(tile_rows, rows.count - i);
      for (int64_t r = 0; r < count; ++r) use(i + r, o, sums + r * panel);
    }
  }
}

// x[row] += product.
void add_product(const Block& rows, const float* in_rows, int64_t stride, int64_t in, const float* packed, int64_t out, float* x) {
  product(rows, in_rows, stride, in, packed, parts(out, panel), [&](int64_t row, int64_t o, float* sums) {
    if (rounds(rows.products)) round_row(sums, panel);
    float* to = x + (rows.begin + row) * out + o * panel;
    const int64_t width = least(panel, out - o * panel);
    int64_t j = 0;
    for (; j + lanes <= width; j += lanes) store(to + j, load(to + j) + load(sums + j));
    for (; j < width; ++j) to[j] += sums[j];
  });
}

// Interleaved pairs times (cos, cos) and (-sin, sin).
void rotate_row(const float* from, float* to, int64_t heads, int64_t head_dim, const float* cosines, const float* sines) {
  VecInt swapped;
  for (int i = 0; i < lanes; ++i) swapped[i] = i ^ 1;
  for (int64_t head = 0; head < heads; ++head, from += head_dim, to += head_dim) {
    int64_t i = 0;
    for (; i + lanes <= head_dim; i += lanes) {
      const Vec x = load(from + i);
      store(to + i, x * load(cosines + i) + __builtin_shuffle(x, swapped) * load(sines + i));
    }
    for (; i < head_dim; ++i) to[i] = from[i] * cosines[i] + from[i ^ 1] * sines[i];
  }
}

}  // namespace

int64_t packed_size(int64_t out, int64_t in, bool beside, Products products) {
  return padded(out, beside ? panel / 2 : panel) * (multiplies_pairs(products) ? pairs_of(in) : in) * (beside ? 2 : 1);
}

void pack(const Pack& p) {
  const int64_t width = p.beside ? panel / 2 : panel;  // rows of w in a panel
  const bool pairs = multiplies_pairs(p.products);
  for_each_task(parts(p.out, width), [&](int64_t o) {
    float* to = p.packed + o * panel * (pairs ? pairs_of(p.in) : p.in);
    for (int64_t c = 0; c < panel; ++c) {
      const int64_t row = o * width + c % width;
      const float* w = row < p.out ? (c < width ? p.w : p.beside) + row * p.in : nullptr;
      const auto number = [&](int64_t i) { return w && i < p.in ? w[i] : 0.0f; };
      if (pairs) {
        for (int64_t i = 0; i < pairs_of(p.in); ++i) reinterpret_cast<uint32_t*>(to)[i * panel + c] = pair(number(2 * i), number(2 * i + 1));
      } else {
        for (int64_t i = 0; i < p.in; ++i) to[i * panel + c] = number(i);
      }
    }
  });
}

void project(const Project& p) {
  const int64_t q_width = p.heads * p.head_dim, kv_width = p.kv_heads * p.head_dim, half = p.head_dim / 2;
  const int64_t panels = parts(q_width + 2 * kv_width, panel), width = panels * panel;
  for_each_task(parts(p.rows, block), [&](int64_t task) {
    Block rows(task, p.rows, p.products);
    float* normed = scratch_floats(block * (p.dim + width) + 2 * p.head_dim + Block::room(p.dim));
    float *qkv = normed + block * p.dim, *cosines = qkv + block * width, *sines = cosines + p.head_dim;
    rows.pairs = reinterpret_cast<uint32_t*>(sines + p.head_dim);
    rows.norm(p.x, p.norm, p.dim, p.eps, normed);
    product(rows, normed, p.dim, p.dim, p.w, panels, [&](int64_t row, int64_t o, const float* sums) {
      memcpy(qkv + row * width + o * panel, sums, sizeof(float) * panel);
    });
    for (int64_t i = 0; i < rows.count; ++i) {
      const int64_t row = rows.begin + i;
      const float* angles = p.cos_sin + static_cast<int64_t>(p.position[row]) * p.head_dim;
      for (int64_t d = 0; d < half; ++d) {
        cosines[2 * d] = cosines[2 * d + 1] = angles[d];
        sines[2 * d + 1] = angles[half + d];
        sines[2 * d] = -angles[half + d];
      }
      float *from = qkv + i * width, *q = p.q + row * q_width, *k = p.k + row * kv_width, *v = p.v + row * kv_width;
      if (rounds(p.products)) round_row(from, width);
      rotate_row(from, q, p.heads, p.head_dim, cosines, sines);
      rotate_row(from + q_width, k, p.kv_heads, p.head_dim, cosines, sines);
      memcpy(v, from + q_width + kv_width, sizeof(float) * static_cast<size_t>(kv_width));
      if (rounds(p.products)) {
        round_row(q, q_width);
        round_row(k, kv_width);
      }
    }
  });
}

void feed_forward(const FeedForward& p) {
  const int64_t half = panel / 2, panels = parts(p.ffn, half), h_stride = panels * half;
  const int64_t widest = p.dim > p.width ? p.dim : p.width;
  for_each_task(parts(p.rows, block), [&](int64_t task) {
    Block rows(task, p.rows, p.products);
    float* in = scratch_floats(block * (widest + h_stride) + Block::room(widest > p.ffn ? widest : p.ffn));
    float* h = in + block * widest;
    rows.pairs = reinterpret_cast<uint32_t*>(h + block * h_stride);
    memcpy(in, p.attended + rows.begin * p.width, sizeof(float) * static_cast<size_t>(rows.count * p.width));
    if (rounds(p.products)) round_row(in, rows.count * p.width);
    rows.clear_rest(in, p.width);
    add_product(rows, in, p.width, p.width, p.wo, p.dim, p.x);
    rows.norm(p.x, p.norm, p.dim, p.eps, in);
    product(rows, in, p.dim, p.dim, p.gate_up, panels, [&](int64_t row, int64_t o, float* sums) {
      if (rounds(p.products)) round_row(sums, panel);
      float* to = h + row * h_stride + o * half;
      for (int64_t j = 0; j < half; j += lanes) {
        const Vec gate = load(sums + j);
        store(to + j, gate * sigmoid(gate) * load(sums + half + j));
      }
    });
    if (rounds(p.products)) round_row(h, rows.count * h_stride);
    rows.clear_rest(h, h_stride);
    add_product(rows, h, h_stride, p.ffn, p.down, p.dim, p.x);
  });
}

void surprise(const Surprise& p) {
  const int64_t panels = parts(p.classes, panel), width = panels * panel;
  for_each_task(parts(p.rows, block), [&](int64_t task) {
    Block rows(task, p.rows, p.products);
    float* normed = scratch_floats(block * (p.dim + width) + Block::room(p.dim));
    float* logits = normed + block * p.dim;
    rows.pairs = reinterpret_cast<uint32_t*>(logits + block * width);
    rows.norm(p.x, p.norm, p.dim, p.eps, normed);
    product(rows, normed, p.dim, p.dim, p.w, panels, [&](int64_t row, int64_t o, const float* sums) {
      memcpy(logits + row * width + o * panel, sums, sizeof(float) * panel);
    });
    for (int64_t i = 0; i < rows.count; ++i) {
      if (rounds(p.products)) round_row(logits + i * width, p.classes);
      p.entropy[rows.begin + i] = entropy_row(logits + i * width, p.classes);
    }
  });
}

}  // namespace blt::kernels::BLT_ISA
