// SPDX-License-Identifier: MIT
// Transformers over texts that grow: keys and values of earlier rows are kept.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "blt/model/layers.h"
#include "blt/model/models.h"
#include "rows.h"

namespace blt::generate {

// New rows: their rotary positions, and the first row that each sees. Each sees all rows up to
// itself.
struct NewRows {
  std::vector<std::int32_t> position;
  std::vector<std::int64_t> first;
  std::int64_t count() const { return static_cast<std::int64_t>(first.size()); }
};

// How byte-level self-attention sees ids[from..]: blocks that end at an EOS, sliding windows
// (spec 5.4). With newline_reset each newline begins a text of its own, as BOS does (paper
// section 4.4).
NewRows byte_rows(std::span<const patch::TokenId> ids, std::int64_t from,
                  const model::Semantics& semantics, bool newline_reset = false);

class CachedHeads;

class CachedTransformer {
 public:
  CachedTransformer(model::Transformer& transformer, at::ScalarType type, at::Device device);

  // x: float32 [rows.count(), dim]. All layers, or one after the other between begin() and the last
  // layer.
  at::Tensor forward(at::Tensor x, const NewRows& rows);
  void begin(const NewRows& rows);
  at::Tensor layer(std::size_t index, const at::Tensor& x);

  void truncate(std::int64_t end);
  void drop_before(std::int64_t row);
  void clear();

 private:
  model::Transformer& transformer_;
  model::Pass pass_;
  at::Device device_;
  std::vector<Rows> keys_, values_;
  // Of the rows between begin() and the last layer.
  at::Tensor position_;
  std::int64_t positions_ = 0;
  nn::Ranges ranges_;
};

// A byte LM over a growing text.
class CachedByteLm {
 public:
  // heads: keep what its prediction heads need. Errors: input, when there are none.
  CachedByteLm(model::ByteLm& lm, at::ScalarType type, bool newline_reset = false, bool heads = false);
  ~CachedByteLm();

  // ids: the whole text; rows `from` on are new -> their logits [ids.size() - from, 260], or the
  // last row's alone.
  at::Tensor append(std::span<const patch::TokenId> ids, std::int64_t from, bool last_only);
  void truncate(std::int64_t end);
  // Keeps what rows from `row` on will see.
  void keep_from(std::int64_t row);
  void clear();
  CachedHeads* heads() const { return heads_.get(); }

 private:
  model::ByteLm& lm_;
  model::Pass pass_;
  bool newline_reset_;
  CachedTransformer transformer_;
  std::unique_ptr<CachedHeads> heads_;
};

at::Tensor int_tensor(const std::vector<std::int32_t>& values, at::Device device);

}  // namespace blt::generate
