// SPDX-License-Identifier: MIT
#include "blt/model/layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include <cmath>

#include "normal_source.h"

namespace blt::model {

void Layer::create(const TransformerConfig& c, const at::TensorOptions& options) {
  const std::int64_t kv = c.kv_heads * c.head_dim();
  attention_norm = at::ones({c.dim}, options);
  wq = at::empty({c.dim, c.dim}, options);
  wk = at::empty({kv, c.dim}, options);
  wv = at::empty({kv, c.dim}, options);
  wo = at::empty({c.dim, c.dim}, options);
  ffn_norm = at::ones({c.dim}, options);
  w_gate = at::empty({c.ffn_dim, c.dim}, options);
  w_up = at::empty({c.ffn_dim, c.dim}, options);
  w_down = at::empty({c.dim, c.ffn_dim}, options);
}

void Layer::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  visitor(prefix + "input_layernorm.weight", attention_norm);
  visitor(prefix + "self_attn.q_proj.weight", wq);
  visitor(prefix + "self_attn.k_proj.weight", wk);
  visitor(prefix + "self_attn.v_proj.weight", wv);
  visitor(prefix + "self_attn.o_proj.weight", wo);
  visitor(prefix + "post_attention_layernorm.weight", ffn_norm);
  visitor(prefix + "mlp.gate_proj.weight", w_gate);
  visitor(prefix + "mlp.up_proj.weight", w_up);
  visitor(prefix + "mlp.down_proj.weight", w_down);
}

void Transformer::create(const TransformerConfig& shape, const at::TensorOptions& options) {
  config = shape;
  rope = nn::Rope(config.head_dim(), config.rope_theta);
  layers.resize(static_cast<std::size_t>(config.layers));
  for (auto& layer : layers) layer.create(config, options);
}

void Transformer::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  for (std::size_t i = 0; i < layers.size(); ++i) layers[i].visit(prefix + "layers." + std::to_string(i) + ".", visitor);
}

at::Tensor Transformer::layer_forward(std::size_t index, const at::Tensor& x, const at::Tensor& position,
                                      std::int64_t positions, const nn::Ranges& ranges, const Pass& pass) {
  const Layer& w = layers[index];
  const at::Tensor& table = rope.table(positions, x.device());
  const auto qkv = nn::linears(nn::rms_norm(x, w.attention_norm, config.norm_eps, pass.type), {w.wq, w.wk, w.wv});
  const at::Tensor attended = nn::attention(qkv[0], qkv[1], qkv[2], ranges,
                                            {config.heads, config.kv_heads, config.head_dim()}, table, position);
  const at::Tensor h = x + nn::linear(attended, w.wo);
  const auto gate_up = nn::linears(nn::rms_norm(h, w.ffn_norm, config.norm_eps, pass.type), {w.w_gate, w.w_up});
  return h + nn::linear(nn::swiglu(gate_up[0], gate_up[1]), w.w_down);
}

at::Tensor Transformer::forward(at::Tensor x, const at::Tensor& position, std::int64_t positions,
                                const nn::Ranges& ranges, const Pass& pass) {
  for (std::size_t i = 0; i < layers.size(); ++i) x = layer_forward(i, x, position, positions, ranges, pass);
  return x;
}

void CrossAttention::create(const TransformerConfig& shape, const at::TensorOptions& options) {
  config = shape;
  const std::int64_t kv = config.kv_heads * config.head_dim();
  q_norm = at::ones({config.dim}, options);
  kv_norm = at::ones({config.dim}, options);
  wq = at::empty({config.dim, config.dim}, options);
  wk = at::empty({kv, config.dim}, options);
  wv = at::empty({kv, config.dim}, options);
  wo = at::empty({config.dim, config.dim}, options);
}

void CrossAttention::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  visitor(prefix + "q_norm.weight", q_norm);
  visitor(prefix + "k_norm.weight", kv_norm);
  visitor(prefix + "q_proj.weight", wq);
  visitor(prefix + "k_proj.weight", wk);
  visitor(prefix + "v_proj.weight", wv);
  visitor(prefix + "o_proj.weight", wo);
}

at::Tensor CrossAttention::forward(const at::Tensor& x, const at::Tensor& y, const nn::Ranges& ranges,
                                   const Pass& pass) const {
  const at::Tensor q = nn::linear(nn::rms_norm(x, q_norm, config.norm_eps, pass.type), wq);
  const auto kv = nn::linears(nn::rms_norm(y, kv_norm, config.norm_eps, pass.type), {wk, wv});
  return nn::linear(nn::attention(q, kv[0], kv[1], ranges, {config.heads, config.kv_heads, config.head_dim()}), wo);
}

void initialise(const std::string& name, at::Tensor& parameter, std::int64_t layers, NormalSource& source) {
  const auto ends_with = [&](std::string_view tail) {
    return name.size() >= tail.size() && std::string_view(name).substr(name.size() - tail.size()) == tail;
  };
  if (parameter.dim() == 1) {  // norms
    parameter.fill_(1);
    return;
  }
  double deviation = 1.0 / std::sqrt(static_cast<double>(parameter.size(1)));
  if (ends_with("o_proj.weight") || ends_with("down_proj.weight")) deviation /= std::sqrt(2.0 * static_cast<double>(layers));
  const at::Tensor host = at::empty(parameter.sizes(), at::kFloat);
  auto* out = host.data_ptr<float>();
  for (std::int64_t i = 0; i < host.numel(); ++i) out[i] = static_cast<float>(source.next() * deviation);
  parameter.copy_(host);
}

}  // namespace blt::model
