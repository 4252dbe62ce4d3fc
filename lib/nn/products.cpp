// SPDX-License-Identifier: MIT
#include "products.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "blt/nn/functional.h"
#include "kernel_table.h"

namespace blt::nn {
namespace {

kernels::WeightElement weight_element(const at::Tensor& weight) {
  switch (weight.scalar_type()) {
    case at::kFloat: return kernels::WeightElement::f32;
    case at::kBFloat16: return kernels::WeightElement::bf16;
    case at::kShort: return kernels::WeightElement::grouped_bf16;
    case at::kChar: return kernels::WeightElement::grouped_i8;
    default: throw internal_error("weights are float32, bfloat16 or narrow");
  }
}

bool same_type(std::span<const at::Tensor> weights) {
  return std::all_of(weights.begin(), weights.end(),
                     [&](const at::Tensor& w) { return w.scalar_type() == weights[0].scalar_type(); });
}

// The runs of a narrow matrix of `Number`s: begin_row(row), then f(number, first column, columns) for numbers that follow each other;
// groups of rows in parallel.
template <class Number, class Begin>
void each_run(const at::Tensor& narrow, std::int64_t columns, Begin&& begin_row) {
  kernel_table(narrow);  // from then on there are threads
  const std::int64_t rows = narrow.size(0), in = nn::columns(narrow), row_bytes = narrow.size(1) * static_cast<std::int64_t>(sizeof(Number));
  auto* data = static_cast<char*>(pointer(narrow));
  const auto body = [&](std::int64_t group) {
    const std::int64_t first = group * kernels::group_rows, count = std::min<std::int64_t>(kernels::group_rows, rows - first);
    auto* numbers = reinterpret_cast<Number*>(data + first * row_bytes);
    for (std::int64_t r = 0; r < count; ++r) {
      const auto f = begin_row(first + r);
      for (std::int64_t i = 0; i < in; i += columns) {
        const std::int64_t width = std::min(columns, in - i);
        f(numbers + i * count + r * width, i, width);
      }
    }
  };
  kernels::parallel()((rows + kernels::group_rows - 1) / kernels::group_rows,
                      [](void* context, std::int64_t group) { (*static_cast<decltype(body)*>(context))(group); }, const_cast<void*>(static_cast<const void*>(&body)));
}

// Of a row of int8 numbers.
char* scale_of(const at::Tensor& int8, std::int64_t row) {
  const std::int64_t in = columns(int8), first = row / kernels::group_rows * kernels::group_rows,
                     count = std::min<std::int64_t>(kernels::group_rows, int8.size(0) - first);
  return static_cast<char*>(pointer(int8)) + first * int8.size(1) + in * count + (row - first) * kernels::i8_scale_bytes;
}

// The numbers of a weight as a matrix of `type`, float32 or bfloat16.
template <class To>
at::Tensor widened_to(const at::Tensor& weight, at::ScalarType type) {
  if (weight.scalar_type() != at::kChar && weight.scalar_type() != at::kShort) return weight.to(type);
  const std::int64_t in = columns(weight);
  const at::Tensor out = at::empty({weight.size(0), in}, weight.options().dtype(type));
  auto* to = typed<To>(out);
  if (weight.scalar_type() == at::kShort) {
    each_run<at::BFloat16>(weight, kernels::bf16_columns, [=](std::int64_t row) {
      return [y = to + row * in](const at::BFloat16* numbers, std::int64_t i, std::int64_t width) {
        for (std::int64_t j = 0; j < width; ++j) y[i + j] = static_cast<To>(numbers[j]);
      };
    });
    return out;
  }
  each_run<std::int8_t>(weight, kernels::cpu_table().i8_columns, [=](std::int64_t row) {
    float scale;
    std::memcpy(&scale, scale_of(weight, row), sizeof scale);
    return [scale, y = to + row * in](const std::int8_t* numbers, std::int64_t i, std::int64_t width) {
      for (std::int64_t j = 0; j < width; ++j) y[i + j] = static_cast<To>(static_cast<float>(numbers[j]) * scale);
    };
  });
  return out;
}

// For products of many rows: of bfloat16 where the hardware multiplies those.
at::Tensor widened(const at::Tensor& weight) {
  if (weight.scalar_type() == at::kFloat || weight.scalar_type() == at::kBFloat16) return weight;
  return kernels::cpu_has_bf16() ? widened_to<at::BFloat16>(weight, at::kBFloat16) : in_float(weight);
}

}  // namespace

std::int64_t columns(const at::Tensor& weight) {
  return weight.size(1) - (weight.scalar_type() == at::kChar ? kernels::i8_scale_bytes : 0);
}

std::optional<kernels::MatVec> few_product(const Matrix& x, std::span<const at::Tensor> weights, std::span<const Matrix> out) {
  if (x.rows < 1 || x.rows > kernels::few_rows || x.columns > kernels::MatVec::most_columns ||
      weights.size() > kernels::MatVec::most_parts || !same_type(weights))
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
  return widened_to<float>(weight, at::kFloat);
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

void narrow(const at::Tensor& weight, const at::Tensor& out) {
  if (!weight.is_floating_point()) throw internal_error("weights that are narrow already");
  const at::Tensor w = weight.to(at::kFloat).contiguous();
  const std::int64_t rows = w.size(0), in = w.size(1);
  if (out.size(0) != rows || columns(out) != in) throw internal_error("narrow weights of another size");
  const auto* from = typed<float>(w);
  if (out.scalar_type() == at::kShort) {
    each_run<at::BFloat16>(out, kernels::bf16_columns, [=](std::int64_t row) {
      return [x = from + row * in](at::BFloat16* numbers, std::int64_t i, std::int64_t width) {
        for (std::int64_t j = 0; j < width; ++j) numbers[j] = x[i + j];
      };
    });
    return;
  }
  if (out.scalar_type() != at::kChar) throw internal_error("narrow weights are int16 (bfloat16) or int8");
  each_run<std::int8_t>(out, kernels::cpu_table().i8_columns, [=](std::int64_t row) {
    const float* x = from + row * in;
    float most = 0;
    bool finite = true;
    for (std::int64_t i = 0; i < in; ++i) {
      most = std::max(most, std::abs(x[i]));
      finite = finite && std::isfinite(x[i]);
    }
    const float scale = finite ? most / 127 : std::numeric_limits<float>::quiet_NaN();  // damaged weights must show in the results
    std::memcpy(scale_of(out, row), &scale, sizeof scale);
    return [x, inverse = finite && most > 1e-35f ? 127 / most : 0](std::int8_t* numbers, std::int64_t i, std::int64_t width) {
      for (std::int64_t j = 0; j < width; ++j) numbers[j] = inverse > 0 ? static_cast<std::int8_t>(std::lrintf(x[i + j] * inverse)) : std::int8_t{0};
    };
  });
}

at::Tensor narrow(const at::Tensor& weight, at::ScalarType type) {
  const std::int64_t scale = type == at::kChar ? kernels::i8_scale_bytes : 0;
  const at::Tensor out = at::empty({weight.size(0), weight.size(1) + scale}, weight.options().dtype(type));
  narrow(weight, out);
  return out;
}

}  // namespace blt::nn
