// SPDX-License-Identifier: MIT
// The few operations ATen lacks, as plain parameter structs over plain pointers. The CPU table is always built and is
// the oracle; the CUDA plugin provides a table of the same signatures. Shapes are row-major; every buffer is contiguous.
#pragma once

#include <cstdint>

namespace blt::kernels {

// Up to so many rows (queries of an attention, vectors of a product), what comes out for a row does not hang on the rows
// beside it, to the bit, nor on the number of threads: what lossless speculation rests on. Beyond, other kernels are faster.
inline constexpr int few_rows = 32;

// Activations are float32 or bfloat16; all arithmetic, norms, sums and softmax are float32.
enum class Element : std::int32_t { f32, bf16 };

// y = x / sqrt(mean(x^2) + eps) * w, by rows.
struct RmsNorm {
  const float* x;        // [rows, dim]
  const float* w;        // [dim]
  void* y;               // [rows, dim], of type
  float* inverse_rms;    // [rows], kept for the backward
  std::int64_t rows, dim;
  float eps;
  Element type;
};
struct RmsNormBackward {
  const float* x;
  const float* w;
  const void* dy;            // of type
  const float* inverse_rms;
  float* dx;                 // [rows, dim]
  float* dw_parts;           // [norm_parts(rows), dim]: partial sums, added by the caller in order
  std::int64_t rows, dim;
  Element type;
};
// Rows are summed in parts of this size, so that dw does not depend on the thread count.
inline constexpr std::int64_t norm_part_rows = 256;
constexpr std::int64_t norm_parts(std::int64_t rows) { return (rows + norm_part_rows - 1) / norm_part_rows; }

// Rotary embedding of interleaved pairs, in place: (x0, x1) -> (x0 cos - x1 sin, x0 sin + x1 cos), angle = position *
// theta^(-2i/head_dim). inverse rotates back (the gradient).
struct Rotary {
  void* x;                       // [rows, heads * head_dim], of type
  const float* cos_sin;          // [positions, head_dim]: cos of all pairs, then sin of all pairs
  const std::int32_t* position;  // [rows]
  std::int64_t rows, heads, head_dim;
  bool inverse;
  Element type;
};

// Softmax attention where query i sees keys first[i] <= j < last[i]. Sliding windows, causal blocks and both
// cross-attentions of BLT (bytes of a patch; the k vectors of a patch) are such ranges. An empty range gives 0.
// Tasks are runs of queries whose key ranges are disjoint from all other tasks', so that a backward needs no locks.
struct Attention {
  const void* q;              // [queries, heads * head_dim]
  const void* k;              // [keys, kv_heads * head_dim]
  const void* v;              // [keys, kv_heads * head_dim]
  void* out;                  // [queries, heads * head_dim]
  float* log_sum;             // [queries, heads]: log sum exp of the scaled scores, for the backward
  const std::int32_t* first;  // [queries], non-decreasing within a task
  const std::int32_t* last;   // [queries], non-decreasing within a task
  const std::int32_t* tasks;  // [task_count + 1]: query offsets
  std::int64_t task_count, queries, keys, heads, kv_heads, head_dim;
  float scale;
  Element type;
};
struct AttentionBackward {
  Attention forward;   // as above, with out and log_sum filled
  const void* dout;    // [queries, heads * head_dim]
  void* dq;            // like q
  void* dk;            // like k; keys that no query sees are left as they are (the caller zeroes them)
  void* dv;
};

// h = silu(gate) * up.
struct SwiGlu {
  const void* gate;  // [count], of type
  const void* up;
  void* h;
  std::int64_t count;
  Element type;
};
struct SwiGluBackward {
  const void* gate;
  const void* up;
  const void* dh;
  void* dgate;
  void* dup;
  std::int64_t count;
  Element type;
};

// loss[i] = -log softmax(logits[i])[target[i]] in nats; a negative target gives 0 and no gradient.
struct CrossEntropy {
  const void* logits;          // [rows, classes], of type
  const std::int32_t* target;  // [rows]
  float* loss;                 // [rows]
  void* dlogits;               // [rows, classes] of type, of the SUM of losses times scale; may be null
  std::int64_t rows, classes;
  float scale;
  Element type;
};
// Entropy of softmax(logits[i]) in nats (spec: H = -sum p log p).
struct Entropy {
  const void* logits;
  float* entropy;  // [rows]
  std::int64_t rows, classes;
  Element type;
};

// out[j] = max over rows starts[j] <= i < starts[j+1] of x[i], by columns; an empty segment gives 0.
struct SegmentMax {
  const float* x;              // [rows, dim]
  const std::int32_t* starts;  // [segments + 1]
  float* out;                  // [segments, dim]
  std::int64_t segments, dim;
};
// Ties share the gradient evenly (as scatter_reduce's amax).
struct SegmentMaxBackward {
  const float* x;
  const std::int32_t* starts;
  const float* out;
  const float* dout;
  float* dx;  // [rows, dim], every row of a segment is written
  std::int64_t segments, dim;
};

// Row numbers of the hash n-gram tables (spec section 4): a polynomial hash of the last g ids, modulo 2^64, then
// floor-modulo the table's rows. Ids before start[i] count as 0.
struct HashRows {
  const std::int32_t* ids;    // [count]
  const std::int32_t* start;  // [count]: first position that position i may see
  std::int32_t* rows;         // [tables, count - skip]
  const std::int32_t* group_sizes;  // [tables]: n of the table's n-grams
  const std::uint64_t* primes;      // [tables]
  std::int64_t count, tables, table_rows;
  std::int64_t skip = 0;  // ids in front that are context alone
};
// out[i] = sum of table[t][rows[t][i]], added in table order; accumulate adds to what out holds.
enum class TableElement : std::int32_t { f32, bf16, f16 };
struct GatherSum {
  const float* table;        // [tables * table_rows, dim]
  const std::int32_t* rows;  // [tables, count]
  float* out;                // [count, dim]
  std::int64_t count, tables, table_rows, dim;
  bool accumulate;
  // CPU only: tables that lie apart, each [table_rows, dim] of `type`, instead of `table`. Null: `table`.
  const void* const* apart = nullptr;
  TableElement type = TableElement::f32;
};
// out[u] = sum of dy[position[j]] for offsets[u] <= j < offsets[u+1]: the gradient of a gathered row.
struct ScatterSum {
  const float* dy;                // [*, dim]
  const std::int32_t* positions;  // [offsets[groups]]
  const std::int64_t* offsets;    // [groups + 1]
  float* out;                     // [groups, dim]
  std::int64_t groups, dim;
};

// y = x w^T for a few rows of x: up to three matrices share them (q, k, v; gate, up). Sums are float32. The CPU's x and y are
// float32; CUDA has no grouped weights.
enum class WeightElement : std::int32_t { f32, bf16, grouped_bf16, grouped_i8 };
// Grouped: 16 rows (the last group may have fewer) by runs of columns, two of bf16 and Table::i8_columns of i8 (the last run may be
// narrower). A run has each row's numbers; behind a group's runs lie, of i8, its rows' scales, floats.
inline constexpr int group_rows = 16, bf16_columns = 2, i8_scale_bytes = 4;
struct MatVec {
  struct Part {
    const void* w;  // [out, in] of type; grouped_i8: in + 4 bytes a row
    void* y;        // [rows, out], of activations
    std::int64_t out;
  };
  static constexpr int most_parts = 3;
  static constexpr std::int64_t most_columns = 100'000;  // of int8, whose sums may be of 32 bits
  Part parts[most_parts];
  std::int64_t count;  // of parts
  const void* x;       // [rows, in], of activations
  std::int64_t rows;   // 1 to few_rows
  std::int64_t in;
  WeightElement type;
  Element activations = Element::f32;
};

// out = scale * x + y: the way around a block, doubled where scale is 2 (spec 5.5). out may be x.
struct Residual {
  const float* x;  // [count]
  const void* y;   // [count], of type
  float* out;      // [count]
  std::int64_t count;
  float scale;
  Element type;
};
// y = x in another type, rounded to nearest even.
struct Cast {
  const void* x;  // [count], of from
  void* y;        // [count], of to
  std::int64_t count;
  Element from, to;
};
// out[index[i]] = x[i]: new rows of a cache, whose places the device reads, so that a recorded launch serves each step.
struct PutRows {
  const void* x;              // [rows, row_bytes]
  const std::int32_t* index;  // [rows]
  void* out;
  std::int64_t rows, row_bytes;  // a multiple of 4
};

// AdamW (Loshchilov & Hutter): decoupled weight decay, bias correction folded into step_size and denominator_scale.
struct AdamW {
  float* parameter;
  const float* gradient;
  float* moment1;
  float* moment2;
  const std::int64_t* rows;  // null: dense [count]; else gradient row i belongs to parameter row rows[i]
  std::int64_t count, dim;   // dense: count numbers, dim ignored; sparse: count rows of dim
  float learning_rate, beta1, beta2, eps, weight_decay, gradient_scale;
  float correction1, correction2;  // 1 - beta^t
};

// A transformer's layers over many rows without gradients, in three passes: a block of rows goes through several products while
// it is in the cache. Weights are packed once, in the order in which these kernels read them. CPU only.
// rounded: what products read and write is rounded to bfloat16, they are float32 themselves. bf16: the same with products of the
// hardware, which cpu_has_bf16() must promise; as rounded by instruction sets that know no such products.
enum class Products { f32, rounded, bf16 };
struct Pack {
  const float* w;       // [out, in]
  const float* beside;  // null, or a second matrix of that shape whose rows go between w's (gate and up)
  float* packed;        // packed_size(out, in, beside, products) numbers
  std::int64_t out, in;
  Products products;  // what the packed weights are for
};
// q, k, v = norm(x) w^T, q and k rotated.
struct Project {
  const float* x;                // [rows, dim]
  const float* norm;             // [dim]
  const float* w;                // packed [heads * head_dim + 2 * kv_heads * head_dim, dim]: q, then k, then v
  const float* cos_sin;          // as Rotary's
  const std::int32_t* position;  // [rows]
  float *q, *k, *v;              // [rows, heads * head_dim], [rows, kv_heads * head_dim] twice
  std::int64_t rows, dim, heads, kv_heads, head_dim;
  float eps;
  Products products;
};
// x += attended wo^T; x += (silu(n gate^T) * (n up^T)) down^T with n = norm(x).
struct FeedForward {
  float* x;               // [rows, dim]
  const float* attended;  // [rows, width]
  const float* norm;      // [dim]
  const float *wo, *gate_up, *down;  // packed [dim, width], [ffn, dim] (gate beside up), [dim, ffn]
  std::int64_t rows, dim, width, ffn;
  float eps;
  Products products;
};
// Entropies in nats of softmax(norm(x) w^T); no logits are kept.
struct Surprise {
  const float* x;     // [rows, dim]
  const float* norm;  // [dim]
  const float* w;     // packed [classes, dim]
  float* entropy;     // [rows]
  std::int64_t rows, dim, classes;
  float eps;
  Products products;
};

struct Table {
  const char* name;  // one of cpu_table_names, "cuda"
  void (*rms_norm)(const RmsNorm&);
  void (*rms_norm_backward)(const RmsNormBackward&);
  void (*rotary)(const Rotary&);
  void (*attention)(const Attention&);
  void (*attention_backward)(const AttentionBackward&);
  void (*swiglu)(const SwiGlu&);
  void (*swiglu_backward)(const SwiGluBackward&);
  void (*cross_entropy)(const CrossEntropy&);
  void (*entropy)(const Entropy&);
  void (*segment_max)(const SegmentMax&);
  void (*segment_max_backward)(const SegmentMaxBackward&);
  void (*hash_rows)(const HashRows&);
  void (*gather_sum)(const GatherSum&);
  void (*scatter_sum)(const ScatterSum&);
  void (*adamw)(const AdamW&);
  void (*matvec)(const MatVec&);
  void (*residual)(const Residual&);
  void (*cast)(const Cast&);
  void (*put_rows)(const PutRows&);
  // The CPU's tables only.
  std::int64_t (*packed_size)(std::int64_t out, std::int64_t in, bool beside, Products products) = nullptr;
  void (*pack)(const Pack&) = nullptr;
  void (*project)(const Project&) = nullptr;
  void (*feed_forward)(const FeedForward&) = nullptr;
  void (*surprise)(const Surprise&) = nullptr;
  int i8_columns = 1;  // the layout of int8 weights
};

// How CPU kernels share out tasks; the default runs them in turn. Set once at start, before any kernel runs.
using ParallelBody = void (*)(void* context, std::int64_t task);
using Parallel = void (*)(std::int64_t tasks, ParallelBody body, void* context);
void set_parallel(Parallel parallel);
Parallel parallel();

// The best table for this CPU; tests ask for the others by name, null if this CPU lacks it.
inline constexpr const char* cpu_table_names[] = {"portable", "avx2", "avx512", "avx512vnni"};
const Table& cpu_table();
const Table* cpu_table(const char* name);
// Whether this CPU multiplies bfloat16 in hardware (AVX-512 BF16, or AMX besides).
bool cpu_has_bf16();
bool cpu_has_amx_bf16();

}  // namespace blt::kernels
