// SPDX-License-Identifier: MIT
// The operations of functional.h without gradients, over memory that is taken once: for decoding, where a byte's arithmetic
// costs less than ATen's dispatch and allocation around it. On a GPU calls are collected and launched together; equal lists
// of calls, as the steps of a decoder are, become a CUDA graph.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "blt/nn/functional.h"

namespace blt::nn {

// A matrix in a workspace or a cache, row-major.
struct Matrix {
  void* data = nullptr;
  std::int64_t rows = 0, columns = 0;
  at::ScalarType type = at::kFloat;  // or bfloat16

  std::int64_t count() const { return rows * columns; }
  std::int64_t row_bytes() const { return columns * static_cast<std::int64_t>(at::elementSize(type)); }
  Matrix row_range(std::int64_t first, std::int64_t last) const;
  Matrix view(std::int64_t new_rows, std::int64_t new_columns) const { return {data, new_rows, new_columns, type}; }
};

// Whole numbers that the host decides and the device reads: added one list after the other, then sent together.
class Inputs {
 public:
  explicit Inputs(at::Device device) : device_(device) {}
  void clear() { host_.clear(); }
  std::size_t add(std::span<const std::int32_t> values);  // -> a handle for at()
  void send();
  const std::int32_t* at(std::size_t handle) const { return sent_ + handle; }  // after send()

 private:
  at::Device device_;
  std::vector<std::int32_t> host_;
  at::Tensor copy_;
  const std::int32_t* sent_ = nullptr;
};

// Attention's ranges (see kernels::Attention): handles of int32 lists.
struct InputRanges {
  std::size_t first = 0, last = 0, tasks = 0;
  std::int64_t queries = 0, task_count = 0;
};
InputRanges add_ranges(Inputs& inputs, const std::vector<std::int32_t>& first, const std::vector<std::int32_t>& last,
                       std::int64_t least_queries);

// The last ids of a text, of which `skip` are context alone (hash n-grams reach back), as handles of int32 lists.
struct HashInputs {
  std::size_t ids = 0, start = 0, sizes = 0, primes = 0;
  std::int64_t count = 0, skip = 0;
};
HashInputs add_hash(Inputs& inputs, const HashTables& tables, const std::vector<std::int32_t>& ids, std::int64_t skip);

class Workspace {
 public:
  // keep: products of many rows keep float32 activations where the weights are narrower, instead of rounding them (which is
  // faster): so all rows are computed alike, however many come together.
  explicit Workspace(at::Device device, bool keep = false);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // Memory until release() to a mark before it, of unspecified contents.
  Matrix take(std::int64_t rows, std::int64_t columns, at::ScalarType type);
  using Mark = std::pair<std::size_t, std::size_t>;
  Mark mark() const { return {block_, offset_}; }
  void release(Mark mark) { std::tie(block_, offset_) = mark; }

  // As their namesakes in functional.h. Weights of linear(s): float32, bfloat16 or narrow, whatever x is.
  Matrix rms_norm(const Matrix& x, const at::Tensor& weight, double eps, at::ScalarType type);
  std::vector<Matrix> linears(const Matrix& x, std::initializer_list<at::Tensor> weights);
  Matrix linear(const Matrix& x, const at::Tensor& weight);
  void rotate(const Matrix& x, const at::Tensor& cos_sin, const std::int32_t* position, const AttentionShape& shape);
  Matrix attention(const Matrix& q, const Matrix& k, const Matrix& v, const Inputs& inputs, const InputRanges& ranges,
                   const AttentionShape& shape);
  Matrix swiglu(const Matrix& gate, const Matrix& up);
  Matrix segment_max(const Matrix& x, const std::int32_t* starts, std::int64_t segments);
  Matrix entropy(const Matrix& logits);  // [rows, 1]
  Matrix embedding(const at::Tensor& weight, const std::int32_t* ids, std::int64_t count);
  Matrix hash_embedding(const at::Tensor& weight, const HashTables& tables, const HashInputs& in, const Inputs& inputs);

  // x = scale * x + y. x: float32.
  void add(const Matrix& x, float scale, const Matrix& y);
  Matrix cast(const Matrix& x, at::ScalarType type);  // x itself, where it is of that type
  Matrix copy(const Matrix& x);
  void copy(const Matrix& x, const Matrix& to);
  // float32 rows of `from`.
  Matrix get_rows(const Matrix& from, const std::int32_t* index, std::int64_t count);
  void put_rows(const Matrix& x, const std::int32_t* index, const Matrix& to);

  // Adds the numbers to `out`. Waits for the device.
  void to_host(const Matrix& x, std::vector<float>& out);
  // Begins what was called so far. Before inputs change that it reads.
  void launch();

 private:
  using Call = std::size_t (*)(const kernels::Table& table, const char* parameters);  // -> bytes of its parameters
  struct Recorded {  // what came once
    const kernels::Table* table = nullptr;
    std::string_view calls;
    void* graph = nullptr;  // from the second time on
  };
  template <auto Function, class Parameters>
  void run(const Parameters& parameters);
  static void play(const kernels::Table& table, std::string_view calls);
  void forget();

  at::Device device_;
  bool keep_;
  const kernels::Table& table_;
  const struct Recorder* recorder_;  // null: calls run at once
  std::string calls_;
  std::unordered_map<std::string, Recorded> recorded_;
  std::vector<at::Tensor> blocks_;
  std::size_t block_ = 0, offset_ = 0;
};

}  // namespace blt::nn
