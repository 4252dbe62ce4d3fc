// SPDX-License-Identifier: MIT
// A small matrix product for tiles that live in the first caches: C (+)= A B, B and C row-major, A with any strides.
#pragma once

#include "vec.h"

namespace blt::kernels::BLT_ISA {

template <int Rows, int Vecs>
static inline void tile_block(int64_t depth, const float* a, int64_t a_row, int64_t a_column, const float* b,
                              int64_t ldb, float* c, int64_t ldc, bool accumulate) {
  Vec sums[Rows][Vecs];
  for (int i = 0; i < Rows; ++i) {
    for (int j = 0; j < Vecs; ++j) sums[i][j] = accumulate ? load(c + i * ldc + j * lanes) : Vec{};
  }
  for (int64_t p = 0; p < depth; ++p) {
    Vec row[Vecs];
    for (int j = 0; j < Vecs; ++j) row[j] = load(b + p * ldb + j * lanes);
    for (int i = 0; i < Rows; ++i) {
      const Vec x = splat(a[i * a_row + p * a_column]);
      for (int j = 0; j < Vecs; ++j) sums[i][j] += x * row[j];
    }
  }
  for (int i = 0; i < Rows; ++i) {
    for (int j = 0; j < Vecs; ++j) store(c + i * ldc + j * lanes, sums[i][j]);
  }
}

template <int Vecs>
static inline void tile_columns(int64_t rows, int64_t depth, const float* a, int64_t a_row, int64_t a_column,
                                const float* b, int64_t ldb, float* c, int64_t ldc, bool accumulate) {
  constexpr int step = Vecs <= 2 ? 8 : Vecs == 3 ? 7 : 6;
  int64_t i = 0;
  for (; i + step <= rows; i += step) {
    tile_block<step, Vecs>(depth, a + i * a_row, a_row, a_column, b, ldb, c + i * ldc, ldc, accumulate);
  }
  for (; i + 2 <= rows; i += 2) {
    tile_block<2, Vecs>(depth, a + i * a_row, a_row, a_column, b, ldb, c + i * ldc, ldc, accumulate);
  }
  if (i < rows) tile_block<1, Vecs>(depth, a + i * a_row, a_row, a_column, b, ldb, c + i * ldc, ldc, accumulate);
}

// columns is a multiple of 16.
static inline void tile_product(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t a_row,
                                int64_t a_column, const float* b, int64_t ldb, float* c, int64_t ldc,
                                bool accumulate) {
  int64_t j = 0;
  for (; j + 64 <= columns; j += 64) {
    tile_columns<4>(rows, depth, a, a_row, a_column, b + j, ldb, c + j, ldc, accumulate);
  }
  const int64_t rest = (columns - j) / lanes;
  if (rest == 3) tile_columns<3>(rows, depth, a, a_row, a_column, b + j, ldb, c + j, ldc, accumulate);
  if (rest == 2) tile_columns<2>(rows, depth, a, a_row, a_column, b + j, ldb, c + j, ldc, accumulate);
  if (rest == 1) tile_columns<1>(rows, depth, a, a_row, a_column, b + j, ldb, c + j, ldc, accumulate);
}

}  // namespace blt::kernels::BLT_ISA
