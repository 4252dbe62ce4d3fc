// SPDX-License-Identifier: MIT
// Exact incremental decoding of a BLT (spec 7.5): closed patches never change, so each is computed
// once.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "blt/model/models.h"
#include "cache.h"
#include "cached_heads.h"

namespace blt::generate {

enum class Latent { exact, stale };

class CachedBlt {
 public:
  // heads: keep what its prediction heads need. Errors: input, when there are none.
  CachedBlt(model::Blt& blt, at::ScalarType type, bool heads = false);

  // Appends ids -> their logits [ids.size(), 260], or the last row's alone, in a workspace that is this call's until the
  // next. Stale: no patch closes; truncate() to where the stale rows began comes before exact ones.
  nn::Matrix append(nn::Workspace& workspace, std::span<const patch::TokenId> ids, bool last_only,
                    Latent latent = Latent::exact);
  // Precondition: end == 0 or end >= oldest().
  void truncate(std::int64_t end);
  // Forgets what only a truncation below `row` would need.
  void keep_from(std::int64_t row);

  const std::vector<patch::TokenId>& ids() const { return ids_; }
  const std::vector<std::int64_t>& starts() const { return starts_; }
  CachedHeads* heads() const { return heads_.get(); }

 private:
  std::int64_t size() const { return static_cast<std::int64_t>(ids_.size()); }
  std::int64_t start(std::int64_t patch) const { return starts_[static_cast<std::size_t>(patch)]; }
  void plan_bytes(std::int64_t from, Latent latent);
  void find_starts(std::int64_t from);
  void plan_closing(std::int64_t first, std::int64_t last);
  void plan_cross(std::int64_t from);
  std::int64_t closing_end(std::int64_t first, std::int64_t last, std::int64_t fresh) const;
  NewRows patch_rows(std::int64_t first, std::int64_t last) const;
  nn::Matrix encode(nn::Workspace& workspace);
  void close_patches(nn::Workspace& workspace);
  nn::Matrix pool_patches(nn::Workspace& workspace);
  void decode(nn::Workspace& workspace, const nn::Matrix& x);

  model::Blt& blt_;
  model::Pass pass_;
  at::Device device_;
  std::vector<patch::TokenId> ids_;
  std::vector<float> entropies_;
  std::vector<std::int64_t> starts_;  // of patches, a start at size() included
  std::int64_t closed_ = 0;           // patches that are computed
  // The entropy model keeps float32 activations: boundaries must not depend on how a text comes in pieces.
  std::unique_ptr<CachedByteLm> patcher_;
  nn::Workspace patcher_workspace_;
  CachedTransformer encoder_, latent_, decoder_;
  std::vector<Rows>
      hidden_;  // the bytes' encoder states that patches are made of: last layer, or all
  std::unique_ptr<CachedHeads> heads_;
  std::vector<Rows> cross_keys_, cross_values_;  // by the decoder's cross-attention: k rows a patch

  // What the device reads of the new bytes, and of the patches that close.
  nn::Inputs byte_inputs_, patch_inputs_;
  nn::HashInputs hash_;
  std::size_t hidden_index_ = 0;
  struct Closing {
    std::int64_t patches = 0, bytes = 0;
    std::size_t hidden_index = 0, starts = 0, cross_index = 0;
    nn::InputRanges pool;
  } closing_;
  nn::InputRanges cross_;
};

}  // namespace blt::generate
