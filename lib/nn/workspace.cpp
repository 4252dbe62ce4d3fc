// SPDX-License-Identifier: MIT
#include "blt/nn/workspace.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "kernel_table.h"
#include "products.h"

namespace blt::nn {
namespace {

constexpr std::size_t line = 64;  // bytes: where each matrix begins
constexpr std::size_t least_block = std::size_t{1} << 20;
constexpr std::size_t most_recorded = 512;  // lists of calls, a few ten KB each

std::size_t rounded(std::size_t bytes) { return (bytes + line - 1) / line * line; }

float* floats(const Matrix& x) {
  if (x.type != at::kFloat) throw internal_error("a matrix that is not float32");
  return static_cast<float*>(x.data);
}

}  // namespace

Matrix Matrix::row_range(std::int64_t first, std::int64_t last) const {
  if (first < 0 || first > last || last > rows) throw internal_error("rows that are not there");
  return {static_cast<char*>(data) + first * row_bytes(), last - first, columns, type};
}

std::size_t Inputs::add(std::span<const std::int32_t> values) {
  const std::size_t handle = host_.size();
  host_.insert(host_.end(), values.begin(), values.end());
  host_.resize(rounded(host_.size() * sizeof(std::int32_t)) / sizeof(std::int32_t));
  return handle;
}

void Inputs::send() {
  if (device_.is_cpu()) {
    sent_ = host_.data();
    return;
  }
  const auto count = static_cast<std::int64_t>(host_.size());
  const auto ints = at::TensorOptions().dtype(at::kInt);
  if (!copy_.defined() || copy_.numel() < count)
    copy_ = at::empty({std::max<std::int64_t>(2 * count, 4096)}, ints.device(device_));
  copy_.slice(0, 0, count).copy_(at::from_blob(host_.data(), {count}, ints));
  sent_ = typed<std::int32_t>(copy_);
}

InputRanges add_ranges(Inputs& inputs, const std::vector<std::int32_t>& first, const std::vector<std::int32_t>& last,
                       std::int64_t least_queries) {
  const auto tasks = tasks_of(first, last, least_queries);
  InputRanges out;
  out.first = inputs.add(first);
  out.last = inputs.add(last);
  out.tasks = inputs.add(tasks);
  out.queries = static_cast<std::int64_t>(first.size());
  out.task_count = static_cast<std::int64_t>(tasks.size()) - 1;
  return out;
}

HashInputs add_hash(Inputs& inputs, const HashTables& tables, const std::vector<std::int32_t>& ids, std::int64_t skip) {
  HashInputs out;
  out.count = static_cast<std::int64_t>(ids.size());
  out.skip = skip;
  out.ids = inputs.add(ids);
  out.start = inputs.add(std::vector<std::int32_t>(ids.size()));
  out.sizes = inputs.add(tables.group_sizes);
  std::vector<std::int32_t> halves(2 * tables.primes.size());
  std::memcpy(halves.data(), tables.primes.data(), sizeof(std::uint64_t) * tables.primes.size());
  out.primes = inputs.add(halves);
  return out;
}

Workspace::Workspace(at::Device device, bool keep)
    : device_(device), keep_(keep), table_(kernel_table(device)), recorder_(recorder(device)) {}

Workspace::~Workspace() { forget(); }

void Workspace::forget() {
  for (const auto& [calls, list] : recorded_) {
    if (list.graph) recorder_->forget(list.graph);
  }
  recorded_.clear();
}

// Calls lie one after the other as bytes, so that equal bytes are equal work: which is all that a graph depends on.
template <auto Function, class Parameters>
void Workspace::run(const Parameters& parameters) {
  static_assert(std::is_trivially_copyable_v<Parameters>);
  if (!recorder_) return (table_.*Function)(parameters);
  Parameters p = parameters;
#if __has_builtin(__builtin_clear_padding)
  __builtin_clear_padding(&p);
#endif
  constexpr Call call = [](const kernels::Table& table, const char* bytes) {
    Parameters of_call;
    std::memcpy(&of_call, bytes, sizeof of_call);
    (table.*Function)(of_call);
    return sizeof of_call;
  };
  const Call pointer = call;
  calls_.append(reinterpret_cast<const char*>(&pointer), sizeof pointer);
  calls_.append(reinterpret_cast<const char*>(&p), sizeof p);
}

void Workspace::play(const kernels::Table& table, std::string_view calls) {
  for (std::size_t at = 0; at < calls.size();) {
    Call call;
    std::memcpy(&call, calls.data() + at, sizeof call);
    at += sizeof call;
    at += call(table, calls.data() + at);
  }
}

void Workspace::launch() {
  if (calls_.empty()) return;
  if (recorded_.size() == most_recorded) forget();
  const auto [found, fresh] = recorded_.try_emplace(calls_);
  Recorded& list = found->second;
  if (fresh) {
    list.table = &table_;
    list.calls = found->first;
    play(table_, calls_);
  } else {
    if (!list.graph) {
      list.graph = recorder_->record(
          [](const void* context) {
            const auto& of = *static_cast<const Recorded*>(context);
            play(*of.table, of.calls);
          },
          &list);
    }
    recorder_->replay(list.graph);
  }
  calls_.clear();
}

Matrix Workspace::take(std::int64_t rows, std::int64_t columns, at::ScalarType type) {
  const std::size_t bytes = rounded(static_cast<std::size_t>(rows * columns) * at::elementSize(type));
  while (block_ < blocks_.size() && offset_ + bytes > static_cast<std::size_t>(blocks_[block_].numel())) {
    ++block_;
    offset_ = 0;
  }
  if (block_ == blocks_.size()) {
    const auto size = static_cast<std::int64_t>(std::max(2 * bytes, least_block));
    blocks_.push_back(at::empty({size}, at::TensorOptions().dtype(at::kByte).device(device_)));
  }
  char* data = static_cast<char*>(blocks_[block_].data_ptr()) + offset_;
  offset_ += bytes;
  return {data, rows, columns, type};
}

Matrix Workspace::rms_norm(const Matrix& x, const at::Tensor& weight, double eps, at::ScalarType type) {
  const Matrix y = take(x.rows, x.columns, type), inverse = take(x.rows, 1, at::kFloat);
  run<&kernels::Table::rms_norm>(kernels::RmsNorm{floats(x), typed<float>(weight), y.data, floats(inverse), x.rows, x.columns,
                                                  static_cast<float>(eps), element_of(type)});
  return y;
}

std::vector<Matrix> Workspace::linears(const Matrix& x, std::initializer_list<at::Tensor> weights) {
  std::vector<Matrix> out;
  for (const auto& w : weights) out.push_back(take(x.rows, w.size(0), x.type));
  if (const auto product = few_product(x, weights, out)) {
    run<&kernels::Table::matvec>(*product);
    return out;
  }
  launch();
  const auto tensor = [&](const Matrix& m) {
    return at::from_blob(m.data, {m.rows, m.columns}, at::TensorOptions().dtype(m.type).device(device_));
  };
  auto to = out.begin();
  for (const auto& w : weights) tensor(*to++).copy_(multiply_many(tensor(x), keep_ ? in_float(w) : w));
  return out;
}

Matrix Workspace::linear(const Matrix& x, const at::Tensor& weight) { return linears(x, {weight})[0]; }

void Workspace::rotate(const Matrix& x, const at::Tensor& cos_sin, const std::int32_t* position, const AttentionShape& shape) {
  run<&kernels::Table::rotary>(kernels::Rotary{x.data, typed<float>(cos_sin), position, x.rows, x.columns / shape.head_dim,
                                               shape.head_dim, false, element_of(x.type)});
}

Matrix Workspace::attention(const Matrix& q, const Matrix& k, const Matrix& v, const Inputs& inputs, const InputRanges& ranges,
                            const AttentionShape& shape) {
  const Matrix out = take(q.rows, q.columns, q.type), log_sum = take(q.rows, shape.heads, at::kFloat);
  run<&kernels::Table::attention>(kernels::Attention{q.data, k.data, v.data, out.data, floats(log_sum), inputs.at(ranges.first),
                                                     inputs.at(ranges.last), inputs.at(ranges.tasks), ranges.task_count, q.rows,
                                                     k.rows, shape.heads, shape.kv_heads, shape.head_dim,
                                                     1.0f / std::sqrt(static_cast<float>(shape.head_dim)), element_of(q.type)});
  return out;
}

Matrix Workspace::swiglu(const Matrix& gate, const Matrix& up) {
  const Matrix h = take(gate.rows, gate.columns, gate.type);
  run<&kernels::Table::swiglu>(kernels::SwiGlu{gate.data, up.data, h.data, h.count(), element_of(h.type)});
  return h;
}

Matrix Workspace::segment_max(const Matrix& x, const std::int32_t* starts, std::int64_t segments) {
  const Matrix out = take(segments, x.columns, at::kFloat);
  run<&kernels::Table::segment_max>(kernels::SegmentMax{floats(x), starts, floats(out), segments, x.columns});
  return out;
}

Matrix Workspace::entropy(const Matrix& logits) {
  const Matrix out = take(logits.rows, 1, at::kFloat);
  run<&kernels::Table::entropy>(
      kernels::Entropy{logits.data, floats(out), logits.rows, logits.columns, element_of(logits.type)});
  return out;
}

Matrix Workspace::embedding(const at::Tensor& weight, const std::int32_t* ids, std::int64_t count) {
  return get_rows({typed<float>(weight), weight.size(0), weight.size(1), at::kFloat}, ids, count);
}

// Mapped tables lie on the host, whatever computes: their few rows are summed there.
Matrix Workspace::hash_embedding(const at::Tensor& weight, const HashTables& tables, const HashInputs& in,
                                 const Inputs& inputs) {
  const std::int64_t fresh = in.count - in.skip;
  const Matrix out = embedding(weight, inputs.at(in.ids) + in.skip, fresh);
  if (tables.tables() == 0) return out;
  const Matrix rows = take(tables.tables(), fresh, at::kFloat);  // of int32, as wide
  auto* numbers = static_cast<std::int32_t*>(rows.data);
  run<&kernels::Table::hash_rows>(kernels::HashRows{inputs.at(in.ids), inputs.at(in.start), numbers, inputs.at(in.sizes),
                                                    reinterpret_cast<const std::uint64_t*>(inputs.at(in.primes)), in.count,
                                                    tables.tables(), tables.table_rows, in.skip});
  kernels::GatherSum sum{nullptr, numbers, floats(out), fresh, tables.tables(), tables.table_rows, out.columns, true};
  if (tables.mapped.tables.empty()) {
    sum.table = typed<float>(tables.weight);
    run<&kernels::Table::gather_sum>(sum);
    return out;
  }
  sum.apart = tables.mapped.tables.data();
  sum.type = tables.mapped.type;
  if (device_.is_cpu()) {
    run<&kernels::Table::gather_sum>(sum);
    return out;
  }
  launch();
  const auto tensor = [&](void* data, std::int64_t r, std::int64_t c, at::ScalarType type) {
    return at::from_blob(data, {r, c}, at::TensorOptions().dtype(type).device(device_));
  };
  const at::Tensor there = tensor(out.data, fresh, out.columns, at::kFloat), host = there.cpu();
  const at::Tensor host_rows = tensor(numbers, tables.tables(), fresh, at::kInt).cpu();
  sum.rows = typed<std::int32_t>(host_rows);
  sum.out = typed<float>(host);
  kernels::cpu_table().gather_sum(sum);
  there.copy_(host);
  return out;
}

void Workspace::add(const Matrix& x, float scale, const Matrix& y) {
  run<&kernels::Table::residual>(kernels::Residual{floats(x), y.data, floats(x), x.count(), scale, element_of(y.type)});
}

Matrix Workspace::cast(const Matrix& x, at::ScalarType type) {
  if (x.type == type) return x;
  const Matrix y = take(x.rows, x.columns, type);
  copy(x, y);
  return y;
}

Matrix Workspace::copy(const Matrix& x) {
  const Matrix y = take(x.rows, x.columns, x.type);
  copy(x, y);
  return y;
}

void Workspace::copy(const Matrix& x, const Matrix& to) {
  run<&kernels::Table::cast>(kernels::Cast{x.data, to.data, x.count(), element_of(x.type), element_of(to.type)});
}

Matrix Workspace::get_rows(const Matrix& from, const std::int32_t* index, std::int64_t count) {
  const Matrix out = take(count, from.columns, at::kFloat);
  run<&kernels::Table::gather_sum>(
      kernels::GatherSum{floats(from), index, floats(out), count, 1, from.rows, from.columns, false});
  return out;
}

void Workspace::put_rows(const Matrix& x, const std::int32_t* index, const Matrix& to) {
  run<&kernels::Table::put_rows>(kernels::PutRows{x.data, index, to.data, x.rows, x.row_bytes()});
}

void Workspace::to_host(const Matrix& x, std::vector<float>& out) {
  launch();
  const at::Tensor there = at::from_blob(x.data, {x.count()}, at::TensorOptions().dtype(x.type).device(device_));
  const at::Tensor host = there.to(at::kFloat).cpu();
  out.insert(out.end(), typed<float>(host), typed<float>(host) + host.numel());
}

}  // namespace blt::nn
