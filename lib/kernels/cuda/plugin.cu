// SPDX-License-Identifier: MIT
// What libblt_cuda.so exports: the table, and where its launches go.
#include "plugin.h"

#include <atomic>

#include "functions.h"
#include "launch.cuh"

namespace {

std::atomic<void*> fixed_stream{nullptr};
std::atomic<blt_cuda_stream_source> stream_source{nullptr};

}  // namespace

namespace blt::kernels::gpu {

cudaStream_t current_stream() {
  const blt_cuda_stream_source source = stream_source.load(std::memory_order_acquire);
  return static_cast<cudaStream_t>(source ? source()
                                          : fixed_stream.load(std::memory_order_acquire));
}

}  // namespace blt::kernels::gpu

extern "C" const blt::kernels::Table* blt_cuda_table() {
  namespace cuda = blt::kernels::cuda;
  static const blt::kernels::Table table = {
      "cuda",          cuda::rms_norm,        cuda::rms_norm_backward,
      cuda::rotary,    cuda::attention,       cuda::attention_backward,
      cuda::swiglu,    cuda::swiglu_backward, cuda::cross_entropy,
      cuda::entropy,   cuda::segment_max,     cuda::segment_max_backward,
      cuda::hash_rows, cuda::gather_sum,      cuda::scatter_sum,
      cuda::adamw};
  return &table;
}

extern "C" void blt_cuda_set_stream(void* stream) {
  fixed_stream.store(stream, std::memory_order_release);
}

extern "C" void blt_cuda_set_stream_source(blt_cuda_stream_source source) {
  stream_source.store(source, std::memory_order_release);
}
