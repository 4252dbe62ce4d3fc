// SPDX-License-Identifier: MIT
#include "products.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "blt/nn/functional.h"
#include "kernel_table.h"

namespace blt::nn {
namespace {

constexpr std::int64_t scale_bytes = sizeof(float);

kernels::WeightElement weight_element(const at::Tensor& weight) {
  switch (weight.scalar_type()) {
    case at::kFloat: return kernels::WeightElement::f32;
    case at::kBFloat16: return kernels::WeightElement::bf16;
    case at::kChar: return kernels::WeightElement::i8;
    default: throw internal_error("weights are float32, bfloat16 or int8");
  }
}

bool same_type(std::span<const at::Tensor> weights) {
  return std::all_of(weights.begin(), weights.end(),
                     [&](const at::Tensor& w) { return w.scalar_type() == weights[0].scalar_type(); });
}

// As a matrix of floats, or of bfloat16 where the hardware multiplies those.
at::Tensor widened(const at::Tensor& weight) {
  if (weight.scalar_type() != at::kChar) return weight;
  const std::int64_t in = columns(weight);
  const at::Tensor scale = weight.slice(1, in).contiguous().view(at::kFloat);
  const at::Tensor numbers = weight.slice(1, 0, in).to(at::kFloat).mul_(scale);
  return kernels::cpu_has_bf16() ? numbers.to(at::kBFloat16) : numbers;
}

}  // namespace

std::int64_t columns(const at::Tensor& weight) {
  return weight.size(1) - (weight.scalar_type() == at::kChar ? scale_bytes : 0);
}

std::optional<kernels::MatVec> few_product(const Matrix& x, std::span<const at::Tensor> weights, std::span<const Matrix> out) {
  if (x.rows < 1 || x.rows > kernels::few_rows || weights.size() > kernels::MatVec::most_parts || !same_type(weights))
    return {};
  kernels::MatVec p{};
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (columns(weights[i]) != x.columns) throw internal_error("a product of sizes that do not fit");
    p.parts[p.count++] = {pointer(weights[i]), out[i].data, weights[i].size(0)};
  }
  p.x = x.data;
  p.rows = x.rows;
  p.in = x.columns;
  p.type = weight_element(weights[0]);
  p.activations = element_of(x.type);
  return p;
}

at::Tensor multiply_many(const at::Tensor& x, const at::Tensor& stored) {
  const at::Tensor w = widened(stored);
  if (w.scalar_type() == x.scalar_type()) return at::mm(x, w.t());
  if (x.scalar_type() == at::kBFloat16) return at::mm(x, w.to(at::kBFloat16).t());
  return at::mm(x.to(w.scalar_type()), w.t()).to(x.scalar_type());
}

std::vector<at::Tensor> products(const at::Tensor& raw_x, const std::vector<at::Tensor>& weights) {
  const at::Tensor x = raw_x.contiguous();
  std::vector<at::Tensor> out;
  if (x.is_cpu() && x.scalar_type() == at::kFloat) {
    std::vector<Matrix> matrices;
    for (const auto& w : weights) {
      out.push_back(at::empty({x.size(0), w.size(0)}, x.options()));
      matrices.push_back(matrix(out.back()));
    }
    if (const auto product = few_product(matrix(x), weights, matrices)) {
      kernel_table(x).matvec(*product);
      return out;
    }
    out.clear();
  }
  for (const auto& w : weights) out.push_back(multiply_many(x, w));
  return out;
}

at::Tensor quantise(const at::Tensor& weight) {
  const at::Tensor w = weight.to(at::kFloat).contiguous();
  const std::int64_t rows = w.size(0), in = w.size(1), stride = in + scale_bytes;
  const at::Tensor out = at::empty({rows, stride}, w.options().dtype(at::kChar));
  const auto* from = typed<float>(w);
  auto* to = typed<std::int8_t>(out);
  for (std::int64_t row = 0; row < rows; ++row, from += in, to += stride) {
    float most = 0;
    for (std::int64_t i = 0; i < in; ++i) most = std::max(most, std::abs(from[i]));
    const float scale = most / 127, inverse = most > 0 ? 127 / most : 0;
    for (std::int64_t i = 0; i < in; ++i) to[i] = static_cast<std::int8_t>(std::lrintf(from[i] * inverse));
    std::memcpy(to + in, &scale, sizeof scale);
  }
  return out;
}

}  // namespace blt::nn
