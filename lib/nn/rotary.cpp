// SPDX-License-Identifier: MIT
#include "blt/nn/rotary.h"

#include "kernel_table.h"

namespace blt::nn {

void rotate(const at::Tensor& x, const at::Tensor& cos_sin, const at::Tensor& position,
            std::int64_t heads, std::int64_t head_dim) {
  kernel_table(x).rotary({pointer(x), typed<float>(cos_sin), typed<std::int32_t>(position),
                          x.size(0), heads, head_dim, false, element_of(x)});
}

}  // namespace blt::nn
