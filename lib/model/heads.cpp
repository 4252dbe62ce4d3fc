// SPDX-License-Identifier: MIT
#include "blt/model/heads.h"

#include <ATen/ops/empty.h>

#include "blt/base/error.h"
#include "normal_source.h"

namespace blt::model {
namespace {

// As if of that many layers: output projections of a tenth of the usual size.
constexpr std::int64_t quiet_layers = 50;

std::string name_of(std::size_t i) { return cat("heads.", i + 2, "."); }

std::size_t place(std::int64_t index) { return static_cast<std::size_t>(index - 2); }

}  // namespace

void PredictionHeads::create(const HeadsConfig& shape, const TransformerConfig& local, const at::TensorOptions& options) {
  config = shape;
  const auto extra = static_cast<std::size_t>(config.count - 1);
  unembeddings.clear();
  transformers.clear();
  if (config.kind == HeadKind::linear) {
    for (std::size_t i = 0; i < extra; ++i) unembeddings.push_back(at::empty({patch::vocab_size, local.dim}, options));
    return;
  }
  TransformerConfig layer = local;
  layer.layers = 1;
  transformers.resize(extra);
  for (auto& transformer : transformers) transformer.create(layer, options);
}

void PredictionHeads::visit(const ParameterVisitor& visitor) {
  for (std::size_t i = 0; i < unembeddings.size(); ++i) visitor(name_of(i) + "lm_head.weight", unembeddings[i]);
  for (std::size_t i = 0; i < transformers.size(); ++i) transformers[i].layers.at(0).visit(name_of(i), visitor);
}

void PredictionHeads::initialise(const at::Tensor& unembedding, std::uint64_t seed) {
  for (auto& weight : unembeddings) weight.copy_(unembedding);
  NormalSource source(seed);
  for (auto& transformer : transformers) {
    transformer.layers.at(0).visit("", [&](const std::string& name, at::Tensor& parameter) {
      model::initialise(name, parameter, quiet_layers, source);
    });
  }
}

at::Tensor PredictionHeads::input(std::int64_t index, const at::Tensor& state, const Batch& batch, const Pass& pass) {
  if (transformers.empty()) return state;
  return transformers.at(place(index)).forward(state, batch.position, batch.positions, batch.local, pass);
}

const at::Tensor& PredictionHeads::unembedding(std::int64_t index, const at::Tensor& own) const {
  return unembeddings.empty() ? own : unembeddings.at(place(index));
}

}  // namespace blt::model
