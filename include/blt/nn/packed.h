// SPDX-License-Identifier: MIT
// The layers of a byte LM on the CPU without gradients, faster than operation by operation: weights are packed once, and blocks of
// rows stay in the cache from product to product (kernels::Project and its neighbours).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "blt/nn/functional.h"

namespace blt::nn {

// Float32 matrices [out, in] and norms [dim] on the CPU.
struct LayerWeights {
  at::Tensor attention_norm, wq, wk, wv, wo, ffn_norm, w_gate, w_up, w_down;
};

// Of matrix products: bfloat16 rounds what they read and write, and is multiplied as such where the hardware does; int8 rounds the
// weights (see narrow), and products are float32.
enum class Precision { float32, bfloat16, int8 };

class PackedLayers {
 public:
  struct Shape {
    AttentionShape attention;
    std::int64_t ffn_dim;
    double rope_theta, norm_eps;
  };
  PackedLayers(const Shape& shape, const at::Tensor& embedding, const std::vector<LayerWeights>& layers, const at::Tensor& norm,
               const at::Tensor& head, Precision precision);

  // Entropies in nats of the next id, float32 [rows]. ids, position: int32 [rows], position < positions.
  at::Tensor entropies(const at::Tensor& ids, const at::Tensor& position, std::int64_t positions, const Ranges& ranges);

 private:
  struct Packed {
    at::Tensor attention_norm, qkv, wo, ffn_norm, gate_up, down;
  };
  void run_layer(const Packed& w, const at::Tensor& position, const at::Tensor& table, const Ranges& ranges);
  void make_room(std::int64_t rows);

  Shape shape_;
  Rope rope_;
  at::Tensor embedding_, norm_, head_;
  std::int64_t classes_;
  std::vector<Packed> layers_;
  kernels::Products products_;
  at::Tensor x_, q_, k_, v_, attended_, log_sum_;  // of one batch, kept for the next
};

}  // namespace blt::nn
