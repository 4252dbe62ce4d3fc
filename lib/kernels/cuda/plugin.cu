// SPDX-License-Identifier: MIT
// What libblt_cuda.so exports: the table, and where its launches go.
#include "plugin.h"

#include <atomic>

#include "functions.h"
#include "launch.cuh"

namespace {

std::atomic<void*> fixed_stream{nullptr};
std::atomic<blt_cuda_stream_source> stream_source{nullptr};
thread_local cudaStream_t recording = nullptr;

}  // namespace

namespace blt::kernels::gpu {

cudaStream_t current_stream() {
  if (recording) return recording;
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
      cuda::adamw,     cuda::matvec,          cuda::residual,
      cuda::cast,      cuda::put_rows};
  return &table;
}

extern "C" void blt_cuda_set_stream(void* stream) {
  fixed_stream.store(stream, std::memory_order_release);
}

extern "C" void blt_cuda_set_stream_source(blt_cuda_stream_source source) {
  stream_source.store(source, std::memory_order_release);
}

extern "C" void blt_cuda_device_size(int device, int* multiprocessors, std::uint64_t* memory_bytes) {
  cudaDeviceProp properties{};
  blt::kernels::gpu::check(cudaGetDeviceProperties(&properties, device), "device");
  *multiprocessors = properties.multiProcessorCount;
  *memory_bytes = properties.totalGlobalMem;
}

// Launches are captured on a stream that no one else uses: the default stream cannot be.
extern "C" void* blt_cuda_record(void (*run)(const void* context), const void* context) {
  using blt::kernels::gpu::check;
  struct Capture {
    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    bool open = false;

    void end() {
      if (!open) return;
      open = false;
      recording = nullptr;
      check(cudaStreamEndCapture(stream, &graph), "graph");
    }
    ~Capture() {
      if (open) {  // run() threw
        recording = nullptr;
        cudaStreamEndCapture(stream, &graph);
      }
      if (graph) cudaGraphDestroy(graph);
      if (stream) cudaStreamDestroy(stream);
    }
  } capture;
  check(cudaStreamCreateWithFlags(&capture.stream, cudaStreamNonBlocking), "graph");
  check(cudaStreamBeginCapture(capture.stream, cudaStreamCaptureModeThreadLocal), "graph");
  capture.open = true;
  recording = capture.stream;
  run(context);
  capture.end();
  cudaGraphExec_t graph = nullptr;
  check(cudaGraphInstantiate(&graph, capture.graph, 0), "graph");
  return graph;
}

extern "C" void blt_cuda_replay(void* graph) {
  namespace gpu = blt::kernels::gpu;
  gpu::check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), gpu::current_stream()), "graph");
}

extern "C" void blt_cuda_forget(void* graph) {
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}
