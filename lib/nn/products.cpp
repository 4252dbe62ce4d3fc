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
  return kernels::cpu_has_bf16() ? dequantise(weight).to(at::kBFloat16) : dequantise(weight);
}

}  // namespace

std::int64_t columns(const at::Tensor& weight) {
  return weight.size(1) - (weight.scalar_type() == at::kChar ? kernels::i8_scale_bytes : 0);
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

at::Tensor in_float(const at::Tensor& weight) {
  return weight.scalar_type() == at::kChar ? dequantise(weight) : weight.to(at::kFloat);
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

void quantise(const at::Tensor& weight, const at::Tensor& out) {
  const at::Tensor w = weight.to(at::kFloat).contiguous();
  const std::int64_t rows = w.size(0), in = w.size(1), columns = kernels::cpu_table().i8_columns;
  if (out.sizes() != at::IntArrayRef({rows, in + kernels::i8_scale_bytes})) throw internal_error("int8 weights of another size");
  const auto* from = typed<float>(w);
  auto* to = typed<std::int8_t>(out);
  for (std::int64_t first = 0; first < rows; first += kernels::i8_group) {
    const std::int64_t count = std::min<std::int64_t>(kernels::i8_group, rows - first);
    auto* scales = to + in * count;
    for (std::int64_t r = 0; r < count; ++r) {
      const float* row = from + (first + r) * in;
      float most = 0;
      for (std::int64_t i = 0; i < in; ++i) most = std::max(most, std::abs(row[i]));
      const float scale = most / 127, inverse = most > 0 ? 127 / most : 0;
      for (std::int64_t run = 0; run < in; run += columns) {
        const std::int64_t width = std::min(columns, in - run);
        std::int8_t* numbers = to + run * count + r * width;
        for (std::int64_t i = 0; i < width; ++i) numbers[i] = static_cast<std::int8_t>(std::lrintf(row[run + i] * inverse));
      }
      std::memcpy(scales + r * kernels::i8_scale_bytes, &scale, sizeof scale);
    }
    to = scales + kernels::i8_scale_bytes * count;
  }
}

at::Tensor quantise(const at::Tensor& weight) {
  const at::Tensor out = at::empty({weight.size(0), weight.size(1) + kernels::i8_scale_bytes}, weight.options().dtype(at::kChar));
  quantise(weight, out);
  return out;
}

at::Tensor dequantise(const at::Tensor& quantised) {
  const std::int64_t rows = quantised.size(0), in = columns(quantised), whole = rows / kernels::i8_group;
  const std::int64_t width = kernels::cpu_table().i8_columns, body = in / width * width;
  const at::Tensor out = at::empty({rows, in}, quantised.options().dtype(at::kFloat));
  const auto write = [&](std::int64_t first, std::int64_t groups, std::int64_t count) {
    const at::Tensor stored = quantised.slice(0, first, first + groups * count).view({groups, count * quantised.size(1)});
    const at::Tensor scales = stored.slice(1, in * count).clone(at::MemoryFormat::Contiguous).view(at::kFloat);
    at::Tensor to = out.slice(0, first, first + groups * count).view({groups, count, in});
    const auto copy_runs = [&](std::int64_t begin, std::int64_t end, std::int64_t run) {
      const std::int64_t runs = (end - begin) / run;
      const at::Tensor numbers = stored.slice(1, begin * count, end * count).view({groups, runs, count, run}).transpose(1, 2);
      to.slice(2, begin, end).view({groups, count, runs, run}).copy_(numbers);
    };
    if (body > 0) copy_runs(0, body, width);
    if (body < in) copy_runs(body, in, in - body);
    to.mul_(scales.unsqueeze(2));
  };
  if (whole > 0) write(0, whole, kernels::i8_group);
  if (rows % kernels::i8_group > 0) write(whole * kernels::i8_group, 1, rows % kernels::i8_group);
  return out;
}

}  // namespace blt::nn
