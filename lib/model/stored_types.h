// SPDX-License-Identifier: MIT
// Types of stored weights as ATen's.
#pragma once

#include <c10/core/ScalarType.h>

#include "blt/base/error.h"
#include "blt/io/tensor.h"

namespace blt::model {

// Errors: input (not floating-point).
inline at::ScalarType scalar_type(io::DType dtype) {
  switch (dtype) {
    case io::DType::f64: return at::kDouble;
    case io::DType::f32: return at::kFloat;
    case io::DType::f16: return at::kHalf;
    case io::DType::bf16: return at::kBFloat16;
    default: throw input_error(cat("weights of type ", io::dtype_name(dtype), " are not supported"));
  }
}

}  // namespace blt::model
