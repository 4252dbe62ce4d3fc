// SPDX-License-Identifier: MIT
// Matrix products without gradients, with weights of any stored type: float32, bfloat16 or narrow.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <vector>

#include "blt/nn/workspace.h"

namespace blt::nn {

// x: [rows, in] -> [rows, out_i] each, in x's type. A few rows of float32 on the CPU read each weight once; more rows go to ATen.
std::vector<at::Tensor> products(const at::Tensor& x, const std::vector<at::Tensor>& weights);

// Numbers in a row of the matrix that `weight` stores.
std::int64_t columns(const at::Tensor& weight);
// out[i] = x weights[i]^T as one call of a kernel that reads each weight once; none, where the rows are too many for it.
std::optional<kernels::MatVec> few_product(const Matrix& x, std::span<const at::Tensor> weights, std::span<const Matrix> out);
at::Tensor multiply_many(const at::Tensor& x, const at::Tensor& weight);

inline Matrix matrix(const at::Tensor& tensor) {
  return {tensor.data_ptr(), tensor.size(0), tensor.size(1), tensor.scalar_type()};
}

}  // namespace blt::nn
