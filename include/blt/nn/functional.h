// SPDX-License-Identifier: MIT
// The toolkit's differentiable operations over flattened, packed sequences: rows of all documents of a batch lie one
// after the other, [rows, dim], and key ranges say who sees whom. Everything else is ATen's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "blt/kernels/kernels.h"

namespace blt::nn {

// Who sees whom in one attention: query i sees keys first[i] <= j < last[i] (see kernels::Attention).
struct Ranges {
  at::Tensor first, last;  // int32 [queries]
  at::Tensor tasks;        // int32 [tasks + 1]
};
// Splits queries into tasks with disjoint key ranges, of at least `least_queries` where the ranges allow.
std::vector<std::int32_t> tasks_of(const std::vector<std::int32_t>& first, const std::vector<std::int32_t>& last,
                                   std::int64_t least_queries);
Ranges make_ranges(std::vector<std::int32_t> first, std::vector<std::int32_t> last, std::int64_t least_queries,
                   at::Device device);

// Rotary embedding tables (interleaved pairs), grown on demand. cos_sin: float32 [positions, head_dim].
class Rope {
 public:
  Rope() = default;
  Rope(std::int64_t head_dim, double theta) : head_dim_(head_dim), theta_(theta) {}
  const at::Tensor& table(std::int64_t positions, at::Device device);

 private:
  std::int64_t head_dim_ = 0;
  double theta_ = 10000;
  at::Tensor table_;
};

struct AttentionShape {
  std::int64_t heads, kv_heads, head_dim;
};

// x: float32 [rows, dim] -> `type` [rows, dim].
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, at::ScalarType type);
// x: [rows, in] of the compute type; weights float32 [out_i, in] -> one [rows, out_i] each, in x's type.
std::vector<at::Tensor> linears(const at::Tensor& x, const std::vector<at::Tensor>& weights);
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight);
// A float matrix [out, in] for products without gradients on the CPU, laid out as kernels::MatVec reads it in groups: int16
// [out, in] of bfloat16's bits, or int8 [out, in + 4], rows scaled to -127..127 and their scales. The rounding error of an int8
// weight is at most half its row's scale.
at::Tensor narrow(const at::Tensor& weight, at::ScalarType type);
void narrow(const at::Tensor& weight, const at::Tensor& out);
at::Tensor in_float(const at::Tensor& weight);  // a matrix of any stored type, as float32 [out, in]
// q: [queries, heads * head_dim]; k, v: [keys, kv_heads * head_dim] -> [queries, heads * head_dim].
// With cos_sin, q and k are rotated in place first (they must not be used afterwards).
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Ranges& ranges,
                     const AttentionShape& shape, const at::Tensor& cos_sin = {}, const at::Tensor& position = {});
// silu(gate) * up.
at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);
// logits: [rows, classes]; target int32 [rows], negative: no target -> the sum of the losses in nats times scale, float32 [].
// losses, when given, receives float32 [rows].
at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& target, double scale, at::Tensor* losses = nullptr);
// Entropies in nats, float32 [rows]; no gradient.
at::Tensor entropy(const at::Tensor& logits);
// x: float32 [rows, dim], starts int32 [segments + 1] -> float32 [segments, dim].
at::Tensor segment_max(const at::Tensor& x, const at::Tensor& starts);

// Hash n-gram tables (spec section 4). The tables' gradient is not dense: a backward leaves (rows, dy) here, and the
// optimiser sums them by row.
struct MappedTables {
  std::vector<const void*> tables;  // each [table_rows, dim]; empty: the tables are in memory
  kernels::TableElement type = kernels::TableElement::f32;
  std::vector<std::shared_ptr<const void>> files;  // keep the tables where they are
};
struct HashTables {
  at::Tensor weight;  // float32 [tables * table_rows, dim]; undefined where mapped
  MappedTables mapped;
  std::int64_t table_rows = 0;
  std::vector<std::int32_t> group_sizes;  // [tables]: n of the table's n-grams, function-major
  std::vector<std::uint64_t> primes;      // [tables]
  bool trainable = false;
  struct Gradient {
    at::Tensor rows;  // int32 [tables, count]
    at::Tensor dy;    // float32 [count, dim]
  };
  std::vector<Gradient> gradients;

  std::int64_t tables() const { return static_cast<std::int64_t>(group_sizes.size()); }
};
// ids, start: int32 [count] -> int32 [tables, count].
at::Tensor hash_rows(const HashTables& tables, const at::Tensor& ids, const at::Tensor& start);
// embedding[ids] + sum of the tables' rows: float32 [count, dim].
at::Tensor hash_embedding(const at::Tensor& embedding, HashTables& tables, const at::Tensor& ids, const at::Tensor& start);

// Sums the gradients of equal rows: rows int64 [n] ascending, values float32 [n, dim]. Clears tables.gradients.
struct RowGradient {
  at::Tensor rows, values;
};
RowGradient take_gradient(HashTables& tables);

// AdamW on a dense float32 parameter, or on the given rows of it.
struct AdamWStep {
  double learning_rate, beta1, beta2, eps, weight_decay, gradient_scale;
  std::int64_t step;  // 1, 2, ...: for the bias correction
};
void adamw(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& moment1, at::Tensor& moment2,
           const AdamWStep& step, const at::Tensor& rows = {});

// The device called cpu, cuda (the first) or cuda:N; a CUDA device becomes the calling thread's current one. Call it before
// other tensor work: ATen's CUDA backend is loaded here, and ATen asks only once whether there is one. Errors: usage, for
// another name; resource, where the plugin libblt_cuda, libtorch_cuda or the device is missing.
at::Device open_device(const std::string& name);

// Chooses threads for ATen and the kernels together, and ends their pools: the next work makes one of its own.
void set_threads(int threads);
// float32 or bfloat16, from "auto", "float32", "bfloat16": auto is bfloat16 where the CPU or GPU multiplies it in hardware.
at::ScalarType compute_type(const std::string& name, at::Device device);

}  // namespace blt::nn
