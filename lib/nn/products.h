// SPDX-License-Identifier: MIT
// Matrix products without gradients, with weights of any stored type.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace blt::nn {

// x: [rows, in]; weights float32, bfloat16 or int8 (see quantise) -> [rows, out_i] each, in x's type. A few rows of float32 on the
// CPU read each weight once; more rows go to ATen.
std::vector<at::Tensor> products(const at::Tensor& x, const std::vector<at::Tensor>& weights);

}  // namespace blt::nn
