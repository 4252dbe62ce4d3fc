// SPDX-License-Identifier: MIT
// Rotary embedding apart from attention: for keys that are rotated once and then kept.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace blt::nn {

// Rotates x in place (see kernels::Rotary). x: [rows, heads * head_dim], contiguous; cos_sin:
// Rope::table(); position: int32 [rows]. No gradient.
void rotate(const at::Tensor& x, const at::Tensor& cos_sin, const at::Tensor& position,
            std::int64_t heads, std::int64_t head_dim);

}  // namespace blt::nn
