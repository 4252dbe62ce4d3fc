// SPDX-License-Identifier: MIT
// The plugin's functions, by the file that compiles them.
#pragma once

#include "blt/kernels/kernels.h"

namespace blt::kernels::cuda {

// simple.cu
void rms_norm(const RmsNorm&);
void rms_norm_backward(const RmsNormBackward&);
void rotary(const Rotary&);
void swiglu(const SwiGlu&);
void swiglu_backward(const SwiGluBackward&);
void cross_entropy(const CrossEntropy&);
void entropy(const Entropy&);
void segment_max(const SegmentMax&);
void segment_max_backward(const SegmentMaxBackward&);
void hash_rows(const HashRows&);
void gather_sum(const GatherSum&);
void scatter_sum(const ScatterSum&);
void adamw(const AdamW&);
// decoding.cu
void matvec(const MatVec&);
void residual(const Residual&);
void cast(const Cast&);
void put_rows(const PutRows&);
// attention.cu, attention_backward.cu
void attention(const Attention&);
void attention_backward(const AttentionBackward&);

}  // namespace blt::kernels::cuda
