// SPDX-License-Identifier: MIT
// A small matrix product for tiles that live in the first caches: C (+)= A B, B and C row-major, A with any strides.
#pragma once

#include "vec.h"

namespace blt::kernels::BLT_ISA {

#if defined(__AVX512F__)
inline constexpr int tile_rows = 6, tile_vecs = 4;  // sums of a block, which fill the registers
#else
inline constexpr int tile_rows = 6, tile_vecs = 2;
#endif

// Not inlined: inside other code g++ runs out of registers.
template <int Rows, int Vecs>
__attribute__((noinline)) static void tile_block(int64_t depth, const float* a, int64_t a_row, int64_t a_column, const float* b,
                              int64_t ldb, float* c, int64_t ldc, bool accumulate) {
  Vec sums[Rows][Vecs];
  BLT_UNROLLED for (int i = 0; i < Rows; ++i) {
    BLT_UNROLLED for (int j = 0; j < Vecs; ++j) sums[i][j] = accumulate ? load(c + i * ldc + j * lanes) : Vec{};
  }
  for (int64_t p = 0; p < depth; ++p) {
    Vec row[Vecs];
    BLT_UNROLLED for (int j = 0; j < Vecs; ++j) row[j] = load(b + p * ldb + j * lanes);
    BLT_UNROLLED for (int i = 0; i < Rows; ++i) {
      const Vec x = splat(a[i * a_row + p * a_column]);
      BLT_UNROLLED for (int j = 0; j < Vecs; ++j) sums[i][j] += row[j] * x;
    }
  }
  BLT_UNROLLED for (int i = 0; i < Rows; ++i) {
    BLT_UNROLLED for (int j = 0; j < Vecs; ++j) store(c + i * ldc + j * lanes, sums[i][j]);
  }
}

template <int Vecs>
static inline void tile_columns(int64_t rows, int64_t depth, const float* a, int64_t a_row, int64_t a_column,
                                const float* b, int64_t ldb, float* c, int64_t ldc, bool accumulate) {
  int64_t i = 0;
  for (; i + tile_rows <= rows; i += tile_rows) {
    tile_block<tile_rows, Vecs>(depth, a + i * a_row, a_row, a_column, b, ldb, c + i * ldc, ldc, accumulate);
  }
  for (; i + 2 <= rows; i += 2) {
    tile_block<2, Vecs>(depth, a + i * a_row, a_row, a_column, b, ldb, c + i * ldc, ldc, accumulate);
  }
  if (i < rows) tile_block<1, Vecs>(depth, a + i * a_row, a_row, a_column, b, ldb, c + i * ldc, ldc, accumulate);
}

// columns is a multiple of lanes.
static inline void tile_product(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t a_row,
                                int64_t a_column, const float* b, int64_t ldb, float* c, int64_t ldc,
                                bool accumulate) {
  constexpr int wide = tile_vecs * lanes;
  int64_t j = 0;
  for (; j + wide <= columns; j += wide) {
    tile_columns<tile_vecs>(rows, depth, a, a_row, a_column, b + j, ldb, c + j, ldc, accumulate);
  }
  for (; j < columns; j += lanes) tile_columns<1>(rows, depth, a, a_row, a_column, b + j, ldb, c + j, ldc, accumulate);
}

}  // namespace blt::kernels::BLT_ISA
