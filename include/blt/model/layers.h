// SPDX-License-Identifier: MIT
// The blocks that all models share (spec section 5).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "blt/model/config.h"
#include "blt/nn/functional.h"

namespace blt::model {

// Called for every parameter under its Hugging Face name.
using ParameterVisitor = std::function<void(const std::string& name, at::Tensor& parameter)>;

// What one forward needs beside the weights.
struct Pass {
  at::ScalarType type = at::kFloat;  // of matrix products; residuals, norms and softmax are float32
};

// Pre-norm block: x + attention(norm x), then + SwiGLU(norm x).
struct Layer {
  at::Tensor attention_norm, wq, wk, wv, wo, ffn_norm, w_gate, w_up, w_down;

  void create(const TransformerConfig& config, const at::TensorOptions& options);
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

struct Transformer {
  TransformerConfig config;
  std::vector<Layer> layers;
  nn::Rope rope;

  void create(const TransformerConfig& shape, const at::TensorOptions& options);
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
  // x: float32 [rows, dim]; position int32 [rows], below `positions`.
  at::Tensor layer_forward(std::size_t index, const at::Tensor& x, const at::Tensor& position, std::int64_t positions,
                           const nn::Ranges& ranges, const Pass& pass);
  at::Tensor forward(at::Tensor x, const at::Tensor& position, std::int64_t positions, const nn::Ranges& ranges,
                     const Pass& pass);
};

// Cross-attention without the callers' residual: Wo attn(Wq norm_q x; Wk norm_kv y, Wv norm_kv y) (spec 5.5).
struct CrossAttention {
  at::Tensor q_norm, kv_norm, wq, wk, wv, wo;
  TransformerConfig config;

  void create(const TransformerConfig& shape, const at::TensorOptions& options);
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
  // x: float32 [queries, dim], y: float32 [keys, dim] -> pass type [queries, dim].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& y, const nn::Ranges& ranges, const Pass& pass) const;
};

// Weights ~ N(0, 1/fan_in) cut at 3 deviations, output projections of the residual branches divided by sqrt(2 layers).
void initialise(const std::string& name, at::Tensor& parameter, std::int64_t layers, class NormalSource& source);

}  // namespace blt::model
