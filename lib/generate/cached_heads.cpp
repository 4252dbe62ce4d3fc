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

void CachedHeads::plan(const NewRows& rows, nn::Inputs& inputs) {
  for (auto& layer : layers_) layer.plan(rows, inputs);
}

void CachedHeads::append(nn::Workspace& ws, const nn::Matrix& state) {
  states_.clear();
  if (layers_.empty()) states_.push_back(ws.copy(state));
  for (auto& layer : layers_) {
    states_.push_back(ws.copy(state));
    layer.forward(ws, states_.back());
  }
}

nn::Matrix CachedHeads::logits(nn::Workspace& ws, std::int64_t row) const {
  const nn::Matrix rows = ws.take(static_cast<std::int64_t>(states_.size()), states_[0].columns, at::kFloat);
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const auto to = static_cast<std::int64_t>(i);
    ws.copy(states_[i].row_range(row, row + 1), rows.row_range(to, to + 1));
  }
  const nn::Matrix logits = ws.linear(ws.rms_norm(rows, norm_, norm_eps_, type_), unembedding_);
  return logits.view(count() - 1, logits.count() / (count() - 1));
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
