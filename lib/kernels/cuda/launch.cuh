// SPDX-License-Identifier: MIT
// Kernels on the GPU: the entry function and its launch on the current stream.
#pragma once

#include <cuda_runtime.h>

#include <type_traits>

#include "operations.cuh"

namespace blt::kernels::gpu {

cudaStream_t current_stream();

inline void check(cudaError_t status, const char* kernel) {
  if (status == cudaSuccess) return;
  throw resource_error(cat("CUDA: ", kernel, ": ", cudaGetErrorString(status)));
}

template <class Kernel>
__global__ void __launch_bounds__(Kernel::threads)
    entry(const __grid_constant__ typename Kernel::Params p) {
  extern __shared__ __align__(16) unsigned char memory[];
  DeviceBlock block;
  Kernel::run(p, block, *reinterpret_cast<typename Kernel::Shared*>(memory));
}

struct CudaLauncher {
  template <class Kernel>
  static void run(int64_t blocks, const typename Kernel::Params& p) {
    if (blocks <= 0) return;
    if (blocks > INT32_MAX)
      throw resource_error(cat("CUDA: ", Kernel::name, ": too many blocks (", blocks, ")"));
    using Shared = typename Kernel::Shared;
    constexpr size_t shared = std::is_empty_v<Shared> ? 0 : sizeof(Shared);
    if constexpr (shared > 48 * 1024) {  // above this, only on request
      check(cudaFuncSetAttribute(entry<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared)),
            Kernel::name);
    }
    entry<Kernel><<<static_cast<unsigned>(blocks), Kernel::threads, shared, current_stream()>>>(p);
    check(cudaGetLastError(), Kernel::name);
  }
};

using Cuda = Operations<CudaLauncher>;

}  // namespace blt::kernels::gpu
