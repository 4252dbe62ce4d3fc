// SPDX-License-Identifier: MIT
#include "functions.h"
#include "launch.cuh"

namespace blt::kernels::cuda {

void attention(const Attention& p) {
  gpu::Cuda::attention(p);
}

}  // namespace blt::kernels::cuda
