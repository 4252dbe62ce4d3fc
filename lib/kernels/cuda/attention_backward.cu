// SPDX-License-Identifier: MIT
#include "functions.h"
#include "launch.cuh"

namespace blt::kernels::cuda {

void attention_backward(const AttentionBackward& p) {
  gpu::Cuda::attention_backward(p);
}

}  // namespace blt::kernels::cuda
