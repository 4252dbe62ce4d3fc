// SPDX-License-Identifier: MIT
// Every kernel but attention.
#include "functions.h"
#include "launch.cuh"

namespace blt::kernels::cuda {

using gpu::Cuda;

void rms_norm(const RmsNorm& p) {
  Cuda::rms_norm(p);
}
void rms_norm_backward(const RmsNormBackward& p) {
  Cuda::rms_norm_backward(p);
}
void rotary(const Rotary& p) {
  Cuda::rotary(p);
}
void swiglu(const SwiGlu& p) {
  Cuda::swiglu(p);
}
void swiglu_backward(const SwiGluBackward& p) {
  Cuda::swiglu_backward(p);
}
void cross_entropy(const CrossEntropy& p) {
  Cuda::cross_entropy(p);
}
void entropy(const Entropy& p) {
  Cuda::entropy(p);
}
void segment_max(const SegmentMax& p) {
  Cuda::segment_max(p);
}
void segment_max_backward(const SegmentMaxBackward& p) {
  Cuda::segment_max_backward(p);
}
void hash_rows(const HashRows& p) {
  Cuda::hash_rows(p);
}
void gather_sum(const GatherSum& p) {
  Cuda::gather_sum(p);
}
void scatter_sum(const ScatterSum& p) {
  Cuda::scatter_sum(p);
}
void adamw(const AdamW& p) {
  Cuda::adamw(p);
}

}  // namespace blt::kernels::cuda
