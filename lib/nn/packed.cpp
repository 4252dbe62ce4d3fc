// SPDX-License-Identifier: MIT
#include "blt/nn/packed.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <cmath>

#include "kernel_table.h"

namespace blt::nn {
namespace {

// Weights as a precision has them, in float32.
at::Tensor rounded_to(const at::Tensor& w, Precision precision) {
  if (precision == Precision::bfloat16) return w.to(at::kBFloat16).to(at::kFloat).contiguous();
  return precision == Precision::int8 ? in_float(narrow(w, at::kChar)) : w.contiguous();
}

kernels::Products products_of(Precision precision) {
  if (precision != Precision::bfloat16) return kernels::Products::f32;
  return kernels::cpu_has_bf16() ? kernels::Products::bf16 : kernels::Products::rounded;
}

at::Tensor pack(const at::Tensor& raw_w, Precision precision, const at::Tensor& raw_beside = {}) {
  const kernels::Products products = products_of(precision);
  const at::Tensor w = rounded_to(raw_w, precision), beside = raw_beside.defined() ? rounded_to(raw_beside, precision) : at::Tensor();
  const std::int64_t out = w.size(0), in = w.size(1);
  const kernels::Table& table = kernel_table(w);
  const at::Tensor packed = at::empty({table.packed_size(out, in, beside.defined(), products)}, w.options());
  table.pack({typed<float>(w), beside.defined() ? typed<float>(beside) : nullptr, typed<float>(packed), out, in, products});
  return packed;
}

}  // namespace

PackedLayers::PackedLayers(const Shape& shape, const at::Tensor& embedding, const std::vector<LayerWeights>& layers,
                           const at::Tensor& norm, const at::Tensor& head, Precision precision)
    : shape_(shape),
      rope_(shape.attention.head_dim, shape.rope_theta),
      embedding_(embedding.contiguous()),
      norm_(norm.contiguous()),
      head_(pack(head, precision)),
      classes_(head.size(0)),
      products_(products_of(precision)) {
  for (const auto& w : layers) {
    layers_.push_back({w.attention_norm.contiguous(), pack(at::cat({w.wq, w.wk, w.wv}), precision), pack(w.wo, precision),
                       w.ffn_norm.contiguous(), pack(w.w_gate, precision, w.w_up), pack(w.w_down, precision)});
  }
}

void PackedLayers::make_room(std::int64_t rows) {
  if (x_.defined() && x_.size(0) >= rows) return;
  const AttentionShape& a = shape_.attention;
  const auto room = [&](std::int64_t width) { return at::empty({rows, width}, embedding_.options()); };
  x_ = room(embedding_.size(1));
  q_ = room(a.heads * a.head_dim);
  attended_ = room(a.heads * a.head_dim);
  k_ = room(a.kv_heads * a.head_dim);
  v_ = room(a.kv_heads * a.head_dim);
  log_sum_ = room(a.heads);
}

void PackedLayers::run_layer(const Packed& w, const at::Tensor& position, const at::Tensor& table, const Ranges& ranges) {
  const AttentionShape& a = shape_.attention;
  const kernels::Table& kernel = kernel_table(x_);
  const std::int64_t rows = position.numel(), dim = x_.size(1);
  const auto eps = static_cast<float>(shape_.norm_eps);
  kernel.project({typed<float>(x_), typed<float>(w.attention_norm), typed<float>(w.qkv), typed<float>(table),
                  typed<std::int32_t>(position), typed<float>(q_), typed<float>(k_), typed<float>(v_), rows, dim, a.heads,
                  a.kv_heads, a.head_dim, eps, products_});
  kernel.attention({pointer(q_), pointer(k_), pointer(v_), pointer(attended_), typed<float>(log_sum_),
                    typed<std::int32_t>(ranges.first), typed<std::int32_t>(ranges.last), typed<std::int32_t>(ranges.tasks),
                    ranges.tasks.numel() - 1, rows, rows, a.heads, a.kv_heads, a.head_dim,
                    1.0f / std::sqrt(static_cast<float>(a.head_dim)), kernels::Element::f32});
  kernel.feed_forward({typed<float>(x_), typed<float>(attended_), typed<float>(w.ffn_norm), typed<float>(w.wo),
                       typed<float>(w.gate_up), typed<float>(w.down), rows, dim, a.heads * a.head_dim, shape_.ffn_dim, eps,
                       products_});
}

at::Tensor PackedLayers::entropies(const at::Tensor& ids, const at::Tensor& position, std::int64_t positions, const Ranges& ranges) {
  const std::int64_t rows = ids.numel(), dim = embedding_.size(1);
  make_room(rows);
  const kernels::Table& kernel = kernel_table(x_);
  kernel.gather_sum({typed<float>(embedding_), typed<std::int32_t>(ids), typed<float>(x_), rows, 1, embedding_.size(0), dim, false});
  const at::Tensor& table = rope_.table(positions, at::kCPU);
  for (const auto& layer : layers_) run_layer(layer, position, table, ranges);
  const at::Tensor out = at::empty({rows}, embedding_.options());
  kernel.surprise({typed<float>(x_), typed<float>(norm_), typed<float>(head_), typed<float>(out), rows, dim, classes_,
                   static_cast<float>(shape_.norm_eps), products_});
  return out;
}

}  // namespace blt::nn
