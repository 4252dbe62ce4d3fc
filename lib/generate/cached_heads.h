// SPDX-License-Identifier: MIT
// Prediction heads 2 to n over a growing text.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "blt/base/error.h"
#include "blt/model/heads.h"
#include "cache.h"

namespace blt::generate {

class CachedHeads {
 public:
  // norm, head: the model's own.
  CachedHeads(model::PredictionHeads& heads, const at::Tensor& norm, double norm_eps,
              const at::Tensor& head, at::ScalarType type);

  void plan(const NewRows& rows, nn::Inputs& inputs);
  // state: float32 [rows.count(), dim], the trunk's before the norm. It and the heads' own lie in the workspace until its
  // owner takes them back.
  void append(nn::Workspace& workspace, const nn::Matrix& state);
  // Of head 2 to count(), after row `row` of the last append() -> [1, 260].
  nn::Matrix logits(nn::Workspace& workspace, std::int64_t head, std::int64_t row) const;
  std::int64_t count() const { return heads_.config.count; }

  void truncate(std::int64_t end);
  void drop_before(std::int64_t row);
  void clear();

 private:
  model::PredictionHeads& heads_;
  at::Tensor norm_;
  double norm_eps_;
  at::Tensor head_;  // the model's own, of all heads with layers
  at::ScalarType type_;
  std::vector<CachedTransformer> layers_;
  std::vector<nn::Matrix> states_;  // linear: the trunk's; layer: one a head
};

// Of a byte LM or a BLT. Errors: input, when it has none.
template <class Model>
std::unique_ptr<CachedHeads> make_heads(Model& model, double norm_eps, at::ScalarType type) {
  if (!model.heads) throw input_error("the model has no prediction heads", "blt-train --mtp N trains them; --speculate latent needs none");
  return std::make_unique<CachedHeads>(*model.heads, model.norm, norm_eps, model.head, type);
}

}  // namespace blt::generate
