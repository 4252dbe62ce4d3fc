// SPDX-License-Identifier: MIT
#include "rows.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "blt/base/error.h"

namespace blt::generate {

void Rows::reserve(std::int64_t count) {
  const std::int64_t capacity = data_.defined() ? data_.size(0) : 0;
  if (end_ - base_ + count <= capacity) return;
  const std::int64_t live = end_ - live_;
  const at::Tensor wider =
      at::empty({std::max<std::int64_t>(64, 2 * (live + count)), dim_}, options_);
  if (live > 0) wider.slice(0, 0, live).copy_(rows(live_, end_));
  data_ = wider;
  base_ = live_;
}

void Rows::append(const at::Tensor& rows) {
  const std::int64_t at = end_ - base_, count = rows.size(0);
  if (count == 0) return;
  if (!data_.defined() || at + count > data_.size(0)) throw internal_error("rows without room");
  data_.slice(0, at, at + count).copy_(rows);
  end_ += count;
}

at::Tensor Rows::held() const {
  return data_.slice(0, 0, end_ - base_);
}

at::Tensor Rows::rows(std::int64_t first, std::int64_t last) const {
  if (first < live_ || last > end_ || first > last) throw internal_error("rows that are not there");
  return data_.slice(0, first - base_, last - base_);
}

void Rows::drop_before(std::int64_t row) {
  live_ = std::max(live_, std::min(row, end_));
}

void Rows::clear() {
  base_ = live_ = end_ = 0;
}

}  // namespace blt::generate
