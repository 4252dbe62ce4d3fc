// SPDX-License-Identifier: MIT
#include "cached_heads.h"

#include <ATen/ops/cat.h>

namespace blt::generate {

CachedHeads::CachedHeads(model::PredictionHeads& heads, const at::Tensor& norm, double norm_eps,
                         const at::Tensor& head, at::ScalarType type)
    : heads_(heads), norm_(norm), norm_eps_(norm_eps), type_(type) {
  for (auto& transformer : heads.transformers) layers_.emplace_back(transformer, type, head.device());
  unembedding_ = heads.unembeddings.empty() ? head : at::cat(heads.unembeddings);
}

void CachedHeads::append(const at::Tensor& state, const NewRows& rows) {
  states_.clear();
  if (layers_.empty()) states_.push_back(state);
  for (auto& layer : layers_) states_.push_back(layer.forward(state, rows));
}

at::Tensor CachedHeads::normed(const at::Tensor& state, std::int64_t row) const {
  return nn::rms_norm(state.slice(0, row, row + 1), norm_, norm_eps_, type_);
}

at::Tensor CachedHeads::logits(std::int64_t row) const {
  if (layers_.empty()) return nn::linear(normed(states_[0], row), unembedding_).view({count() - 1, -1});
  std::vector<at::Tensor> rows;
  for (const auto& state : states_) rows.push_back(normed(state, row));
  return nn::linear(at::cat(rows), unembedding_);
}

void CachedHeads::truncate(std::int64_t end) {
  for (auto& layer : layers_) layer.truncate(end);
}

void CachedHeads::drop_before(std::int64_t row) {
  for (auto& layer : layers_) layer.drop_before(row);
}

void CachedHeads::clear() {
  for (auto& layer : layers_) layer.clear();
  states_.clear();
}

}  // namespace blt::generate
