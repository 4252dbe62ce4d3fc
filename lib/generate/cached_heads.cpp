// SPDX-License-Identifier: MIT
#include "cached_heads.h"

namespace blt::generate {

CachedHeads::CachedHeads(model::PredictionHeads& heads, const at::Tensor& norm, double norm_eps,
                         const at::Tensor& head, at::ScalarType type)
    : heads_(heads), norm_(norm), norm_eps_(norm_eps), head_(head), type_(type) {
  for (auto& transformer : heads.transformers) layers_.emplace_back(transformer, type, head.device());
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

nn::Matrix CachedHeads::logits(nn::Workspace& ws, std::int64_t head, std::int64_t row) const {
  const auto index = static_cast<std::size_t>(head - 2);
  const bool linear = layers_.empty();
  const nn::Matrix state = states_[linear ? 0 : index].row_range(row, row + 1);
  return ws.linear(ws.rms_norm(state, norm_, norm_eps_, type_), linear ? heads_.unembeddings[index] : head_);
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
