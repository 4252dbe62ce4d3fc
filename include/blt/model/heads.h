// SPDX-License-Identifier: MIT
// Multi-token prediction (arXiv 2404.19737): head i of n predicts the byte i positions further. Head 1 is the model's own norm
// and unembedding; heads 2 to n are here.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "blt/model/batch.h"
#include "blt/model/layers.h"

namespace blt::model {

struct PredictionHeads {
  HeadsConfig config;
  // Of heads 2 to n, one of the two:
  std::vector<at::Tensor> unembeddings;   // linear: [260, dim] each, of the state after the model's norm
  std::vector<Transformer> transformers;  // layer: one layer each, of the state before it; norm and unembedding are the model's

  // local: the shape of the model's byte-level layers.
  void create(const HeadsConfig& shape, const TransformerConfig& local, const at::TensorOptions& options);
  // Names start with "heads.2." to "heads.n.".
  void visit(const ParameterVisitor& visitor);
  // Each head begins as about the model's own: linear ones as copies of its unembedding, layers close to the identity.
  void initialise(const at::Tensor& unembedding, std::uint64_t seed);

  // What head `index` (2 to n) norms and unembeds, and the unembedding: those given, where it has none of its own.
  // state: float32 [bytes, dim], the trunk's last before the norm.
  at::Tensor input(std::int64_t index, const at::Tensor& state, const Batch& batch, const Pass& pass);
  const at::Tensor& unembedding(std::int64_t index, const at::Tensor& own) const;
};

}  // namespace blt::model
