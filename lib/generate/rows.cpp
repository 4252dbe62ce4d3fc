// SPDX-License-Identifier: MIT
#include "rows.h"

#include <algorithm>
#include <numeric>

#include "blt/base/error.h"
#include "blt/nn/memory.h"

namespace blt::generate {

// Dropped rows make room where they lie while the memory is twice what is needed, so that it seldom moves.
void Rows::reserve(std::int64_t count) {
  if (end_ - base_ + count <= capacity()) return;
  const std::int64_t live = end_ - live_, dead = live_ - base_;
  at::Tensor kept = live > 0 ? data_.slice(0, dead, dead + live) : at::Tensor();
  if (2 * (live + count) > capacity()) {
    data_ = nn::empty_in_huge_pages({std::max<std::int64_t>(64, 4 * (live + count)), dim_}, options_);
  } else if (live > dead) {  // source and target overlap
    kept = kept.clone();
  }
  if (live > 0) data_.slice(0, 0, live).copy_(kept);
  base_ = live_;
}

std::vector<std::int32_t> Rows::places(std::int64_t first, std::int64_t last) const {
  if (first < live_ || first > last || last - base_ > capacity()) throw internal_error("rows that are not there");
  std::vector<std::int32_t> out(static_cast<std::size_t>(last - first));
  std::iota(out.begin(), out.end(), place(first));
  return out;
}

nn::Matrix Rows::held() const {
  return {data_.data_ptr(), capacity(), dim_, options_.dtype().toScalarType()};
}

void Rows::append(nn::Workspace& workspace, const nn::Matrix& x, const std::int32_t* index) {
  workspace.put_rows(x, index, held());
  end_ += x.rows;
}

void Rows::drop_before(std::int64_t row) {
  live_ = std::max(live_, std::min(row, end_));
}

void Rows::clear() {
  base_ = live_ = end_ = 0;
}

}  // namespace blt::generate
