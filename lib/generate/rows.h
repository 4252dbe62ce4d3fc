// SPDX-License-Identifier: MIT
// Rows of a matrix that come at the end and are dropped at the front, numbered from the first one
// ever.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "blt/nn/workspace.h"

namespace blt::generate {

class Rows {
 public:
  Rows(std::int64_t dim, at::ScalarType type, at::Device device)
      : dim_(dim), options_(at::TensorOptions().dtype(type).device(device)) {}

  std::int64_t end() const { return end_; }  // the number after the last row
  // Makes room for `count` rows. The memory may move here and nowhere else.
  void reserve(std::int64_t count);
  // Where rows first .. last lie in held(). Errors: internal, for rows that are not there and have no room.
  std::vector<std::int32_t> places(std::int64_t first, std::int64_t last) const;
  std::int32_t place(std::int64_t row) const { return static_cast<std::int32_t>(row - base_); }
  nn::Matrix held() const;  // all the memory, [capacity, dim]
  // The next x.rows rows, which lie at `index` of held().
  void append(nn::Workspace& workspace, const nn::Matrix& x, const std::int32_t* index);
  void truncate(std::int64_t end) { end_ = end; }
  // Rows before this one are not needed any more. The number may be beyond the end.
  void drop_before(std::int64_t row);
  void clear();

 private:
  std::int64_t capacity() const { return data_.defined() ? data_.size(0) : 0; }

  std::int64_t dim_;
  at::TensorOptions options_;
  at::Tensor data_;
  std::int64_t base_ = 0, live_ = 0, end_ = 0;  // rows base_ .. live_ are dead
};

}  // namespace blt::generate
