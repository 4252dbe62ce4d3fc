// SPDX-License-Identifier: MIT
// Tiles of attention in shared memory, and the two small products over them. 256 threads stand as
// 16 x 16: thread (y, x) holds rows y R .. y R + R - 1 of the tile's result, and either columns x +
// 16 j or dimensions 4 x + 64 c.
#pragma once

#include "block.cuh"

namespace blt::kernels::gpu {

inline constexpr int side = 16;  // threads that share a row; half a warp

// Heads of up to D numbers. Strides are whole float4s, and odd ones, so that 16 rows lie in
// different banks.
template <int D>
struct Tile {
  static constexpr int threads = side * side;
  static constexpr int per_row = D <= 128 ? 4 : 2;   // rows of a thread
  static constexpr int rows = side * per_row;        // of the result
  static constexpr int columns = D <= 64 ? 64 : 32;  // a step
  static constexpr int per_column = columns / side;  // columns of a thread
  static constexpr int chunks = D / 64;              // float4s of a thread's output row
  static constexpr int stride = D + 4;
  static constexpr int weight_stride = columns + 4;
  static_assert(D % 64 == 0 && D >= 64);

  struct Scores {
    float x[per_row][per_column];
  };
  struct Output {
    Float4 x[per_row][chunks];
  };
};

BLT_DEVICE int tile_y(int thread) {
  return thread / side;
}
BLT_DEVICE int tile_x(int thread) {
  return thread % side;
}
BLT_DEVICE Float4 load4(const float* p) {
  return *reinterpret_cast<const Float4*>(p);
}

// One thread's part of: rows [begin, begin + count) of x, `dim` numbers each, times factor -> a
// tile of `rows` rows, zeros past count and past dim.
template <int D, class T>
BLT_DEVICE void load_tile(int thread, const T* x, int64_t stride, int64_t count, int rows,
                          int64_t dim, float factor, float* out) {
  for (int i = thread; i < rows * D; i += Tile<D>::threads) {
    const int row = i / D, d = i % D;
    out[row * Tile<D>::stride + d] =
        row < count && d < dim ? get(x + row * stride + d) * factor : 0.0f;
  }
}

// scores[i][j] = a[y R + i] . b[x + 16 j]
template <int D>
BLT_DEVICE void dot_rows(int thread, const float* a, const float* b,
                         typename Tile<D>::Scores& scores) {
  using S = Tile<D>;
  BLT_UNROLL
  for (int i = 0; i < S::per_row; ++i) {
    BLT_UNROLL
    for (int j = 0; j < S::per_column; ++j) scores.x[i][j] = 0;
  }
  a += tile_y(thread) * S::per_row * S::stride;
  b += tile_x(thread) * S::stride;
  for (int d = 0; d < D; d += 4) {
    Float4 row[S::per_row], column[S::per_column];
    BLT_UNROLL
    for (int i = 0; i < S::per_row; ++i) row[i] = load4(a + i * S::stride + d);
    BLT_UNROLL
    for (int j = 0; j < S::per_column; ++j) column[j] = load4(b + side * j * S::stride + d);
    BLT_UNROLL
    for (int i = 0; i < S::per_row; ++i) {
      BLT_UNROLL
      for (int j = 0; j < S::per_column; ++j) {
        BLT_UNROLL
        for (int e = 0; e < 4; ++e) scores.x[i][j] += row[i].x[e] * column[j].x[e];
      }
    }
  }
}

// out[i] += sum over columns j of weights[y R + i][j] values[j], dimensions 4 x + 64 c.
template <int D>
BLT_DEVICE void add_weighted(int thread, const float* weights, const float* values,
                             typename Tile<D>::Output& out) {
  using S = Tile<D>;
  weights += tile_y(thread) * S::per_row * S::weight_stride;
  values += tile_x(thread) * 4;
  for (int j = 0; j < S::columns; j += 4) {
    Float4 weight[S::per_row];
    BLT_UNROLL
    for (int i = 0; i < S::per_row; ++i) weight[i] = load4(weights + i * S::weight_stride + j);
    BLT_UNROLL
    for (int e = 0; e < 4; ++e) {
      BLT_UNROLL
      for (int c = 0; c < S::chunks; ++c) {
        const Float4 value = load4(values + (j + e) * S::stride + 64 * c);
        BLT_UNROLL
        for (int i = 0; i < S::per_row; ++i) {
          BLT_UNROLL
          for (int d = 0; d < 4; ++d) out.x[i][c].x[d] += weight[i].x[e] * value.x[d];
        }
      }
    }
  }
}

template <int D>
BLT_DEVICE void clear(typename Tile<D>::Output& out) {
  BLT_UNROLL
  for (int i = 0; i < Tile<D>::per_row; ++i) {
    BLT_UNROLL
    for (int c = 0; c < Tile<D>::chunks; ++c) {
      BLT_UNROLL
      for (int d = 0; d < 4; ++d) out.x[i][c].x[d] = 0;
    }
  }
}

template <int D>
BLT_DEVICE void scale_row(typename Tile<D>::Output& out, int i, float factor) {
  BLT_UNROLL
  for (int c = 0; c < Tile<D>::chunks; ++c) {
    BLT_UNROLL
    for (int d = 0; d < 4; ++d) out.x[i][c].x[d] *= factor;
  }
}

// Row i of the thread's output to out (of row 0 of the tile, stride apart).
template <int D, class T>
BLT_DEVICE void write_row(int thread, const typename Tile<D>::Output& from, int i, int64_t dim,
                          T* out, int64_t stride) {
  out += (tile_y(thread) * Tile<D>::per_row + i) * stride;
  BLT_UNROLL
  for (int c = 0; c < Tile<D>::chunks; ++c) {
    BLT_UNROLL
    for (int d = 0; d < 4; ++d) {
      const int at = 4 * tile_x(thread) + 64 * c + d;
      if (at < dim) put(out + at, from.x[i][c].x[d]);
    }
  }
}

}  // namespace blt::kernels::gpu
