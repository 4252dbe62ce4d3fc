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

// The caches' plan() comes before the device's work: it makes room for new rows and adds to `inputs`, which the caller sends,
// what the layers read of them. Truncation, dropping and clearing are as those of Rows.
class CachedTransformer {
 public:
  CachedTransformer(model::Transformer& transformer, at::ScalarType type, at::Device device);

  void plan(const NewRows& rows, nn::Inputs& inputs);
  // x: float32 [rows.count(), dim], changed in place. All layers, or one after the other.
  void forward(nn::Workspace& workspace, const nn::Matrix& x);
  void layer(nn::Workspace& workspace, std::size_t index, const nn::Matrix& x);

  void truncate(std::int64_t end);
  void drop_before(std::int64_t row);
  void clear();

 private:
  model::Transformer& transformer_;
  model::Pass pass_;
  at::Device device_;
  nn::Rope rope_;  // of its own: engines on other threads share the model
  std::vector<Rows> keys_, values_;
  // Of the rows that are planned.
  const nn::Inputs* inputs_ = nullptr;
  std::size_t position_ = 0, index_ = 0;
  at::Tensor cos_sin_;
  nn::InputRanges ranges_;
};

// A byte LM over a growing text.
class CachedByteLm {
 public:
  // heads: keep what its prediction heads need. Errors: input, when there are none.
  CachedByteLm(model::ByteLm& lm, at::ScalarType type, bool newline_reset = false, bool heads = false);
  ~CachedByteLm();

  // ids: the whole text; rows `from` on are new.
  void plan(std::span<const patch::TokenId> ids, std::int64_t from, nn::Inputs& inputs);
  // Logits of the new rows, [ids.size() - from, 260], or the last row's alone.
  nn::Matrix append(nn::Workspace& workspace, bool last_only);
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
  const nn::Inputs* inputs_ = nullptr;
  std::size_t ids_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace blt::generate
