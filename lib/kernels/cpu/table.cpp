// SPDX-License-Identifier: MIT
#include <stdint.h>

#include "blt/kernels/kernels.h"

namespace blt::kernels::BLT_ISA {

void rms_norm(const RmsNorm&);
void rms_norm_backward(const RmsNormBackward&);
void rotary(const Rotary&);
void attention(const Attention&);
void attention_backward(const AttentionBackward&);
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
void matvec(const MatVec&);
void residual(const Residual&);
void cast(const Cast&);
void put_rows(const PutRows&);
int64_t packed_size(int64_t out, int64_t in, bool beside, Products products);
void pack(const Pack&);
void project(const Project&);
void feed_forward(const FeedForward&);
void surprise(const Surprise&);

#define BLT_TEXT_(x) #x
#define BLT_TEXT(x) BLT_TEXT_(x)
const Table& table() {
  static constexpr Table the_table = {
      BLT_TEXT(BLT_ISA),    rms_norm,      rms_norm_backward, rotary,      attention,
      attention_backward,   swiglu,        swiglu_backward,   cross_entropy, entropy,
      segment_max,          segment_max_backward, hash_rows,  gather_sum,  scatter_sum,
      adamw,                matvec,        residual,    cast,
      put_rows,             packed_size,   pack,        project,     feed_forward,
      surprise};
  return the_table;
}

}  // namespace blt::kernels::BLT_ISA
