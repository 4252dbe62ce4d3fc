// SPDX-License-Identifier: MIT
// Rows of a tensor that come at the end and are dropped at the front, numbered from the first one
// ever.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace blt::generate {

class Rows {
 public:
  Rows(std::int64_t dim, const at::TensorOptions& options) : dim_(dim), options_(options) {}

  std::int64_t base() const { return base_; }  // the number of held()'s first row
  std::int64_t end() const { return end_; }    // the number after the last row
  // Makes room for `count` rows; base() may change here and nowhere else but in clear().
  void reserve(std::int64_t count);
  void append(const at::Tensor& rows);  // [n, dim]; reserve() them first
  at::Tensor held() const;              // [end - base, dim], contiguous
  at::Tensor rows(std::int64_t first, std::int64_t last) const;
  void truncate(std::int64_t end) { end_ = end; }
  // Rows before this one are not needed any more. The number may be beyond the end.
  void drop_before(std::int64_t row);
  void clear();

 private:
  std::int64_t dim_;
  at::TensorOptions options_;
  at::Tensor data_;
  std::int64_t base_ = 0, live_ = 0, end_ = 0;  // rows base_ .. live_ are dead
};

}  // namespace blt::generate
