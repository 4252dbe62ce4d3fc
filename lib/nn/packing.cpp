// SPDX-License-Identifier: MIT
// The parts without gradients: key ranges, rotary tables, hash rows, the optimiser's update, devices and threads.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/unique_consecutive.h>
#include <ATen/ops/zeros.h>

#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>

#include "blt/base/threads.h"
#include "blt/nn/functional.h"
#include "blt/nn/transfer.h"
#include "kernel_table.h"

namespace blt::nn {
namespace {

const kernels::Table* cuda_table = nullptr;
const Recorder *cpu_recorder = nullptr, *cuda_recorder = nullptr;

#ifndef _OPENMP
#error "compiled without OpenMP, all kernels run in one thread"
#endif

using Clock = std::chrono::steady_clock;
thread_local Clock::time_point alone_until{};

// Tasks that lie beside each other mostly read memory that does, so each of ATen's threads has a share of its own, and takes what
// is left of the others' when it is through: costs differ. Where another program keeps one of them from its CPU, all wait for
// it (at the end, or the next beginning), milliseconds for microseconds of work: then the calling thread goes on alone for eight times as long as it waited.
void run_parallel(std::int64_t tasks, kernels::ParallelBody body, void* context) {
  if (tasks <= 1 || at::in_parallel_region() || at::get_num_threads() == 1 || Clock::now() < alone_until) {
    for (std::int64_t task = 0; task < tasks; ++task) body(context, task);
    return;
  }
  struct alignas(64) Share {
    std::atomic<std::int64_t> next;
    std::int64_t end;
  };
  std::array<Share, 256> all;  // only what is used of it is written
  const auto most = std::min<std::int64_t>({at::get_num_threads(), tasks, std::ssize(all)});
  for (std::int64_t w = 0; w < most; ++w) {
    auto& share = all[static_cast<std::size_t>(w)];
    share.next.store(tasks * w / most, std::memory_order_relaxed);
    share.end = tasks * (w + 1) / most;
  }
  const Clock::time_point start = Clock::now();
  Clock::time_point begun = start, done = start;  // by the calling thread
  Clock::time_point *when_begun = &begun, *when_done = &done;
  Share* shares = all.data();
  // What the other threads need lies in one block: each step from pointer to pointer is a journey between cores.
#pragma omp parallel num_threads(static_cast<int>(most)) default(none) firstprivate(body, context, shares, most, when_begun, when_done)
  {
    const int worker = omp_get_thread_num();
    if (worker == 0) *when_begun = Clock::now();
    for (std::int64_t i = 0; i < most; ++i) {
      Share& share = shares[(worker + i) % most];
      for (std::int64_t task = share.next++; task < share.end; task = share.next++) body(context, task);
    }
    if (worker == 0) *when_done = Clock::now();
  }
  const Clock::time_point end = Clock::now();
  const auto worked = done - begun, waited = end - start - worked;
  if (waited > std::chrono::microseconds(200) && waited > 4 * worked) alone_until = end + 8 * waited;
}

}  // namespace

const kernels::Table& kernel_table(at::Device device) {
  if (device.is_cpu()) {
    static const bool ready = (kernels::set_parallel(run_parallel), true);
    static_cast<void>(ready);
    return kernels::cpu_table();
  }
  if (device.is_cuda() && cuda_table) return *cuda_table;
  throw resource_error("this device has no kernels here", "the CUDA plugin libblt_cuda is needed for --device cuda");
}

void set_cuda_table(const kernels::Table* table) { cuda_table = table; }

const Recorder* recorder(at::Device device) { return device.is_cpu() ? cpu_recorder : cuda_recorder; }
void set_recorder(at::DeviceType type, const Recorder* recorder) {
  (type == at::kCPU ? cpu_recorder : cuda_recorder) = recorder;
}

std::vector<std::int32_t> tasks_of(const std::vector<std::int32_t>& first, const std::vector<std::int32_t>& last,
                                   std::int64_t least_queries) {
  // Queries i.. may start a task when no earlier query sees a key that one of them sees.
  std::vector<std::int32_t> tasks = {0};
  const auto count = static_cast<std::int32_t>(first.size());
  std::int32_t seen = 0;
  for (std::int32_t i = 0; i < count; ++i) {
    const bool apart = first[static_cast<std::size_t>(i)] >= seen;
    if (i > tasks.back() && apart && i - tasks.back() >= least_queries) tasks.push_back(i);
    seen = std::max(seen, last[static_cast<std::size_t>(i)]);
  }
  tasks.push_back(count);
  return tasks;
}

Ranges make_ranges(std::vector<std::int32_t> first, std::vector<std::int32_t> last, std::int64_t least_queries,
                   at::Device device) {
  const auto tasks = tasks_of(first, last, least_queries);
  return {int_tensor(first, device), int_tensor(last, device), int_tensor(tasks, device)};
}

const at::Tensor& Rope::table(std::int64_t positions, at::Device device) {
  if (table_.defined() && table_.size(0) >= positions && table_.device() == device) return table_;
  if (table_.defined()) positions = std::max(positions, table_.size(0) * 5 / 4);  // a text that grows seldom asks for all anew
  positions = (positions + 1023) / 1024 * 1024;
  const at::Tensor host = at::empty({positions, head_dim_}, at::kFloat);
  auto* out = host.data_ptr<float>();
  const std::int64_t half = head_dim_ / 2;
  std::vector<float> frequency(static_cast<std::size_t>(half));
  for (std::int64_t i = 0; i < half; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim_);
    frequency[static_cast<std::size_t>(i)] = 1.0f / std::pow(static_cast<float>(theta_), exponent);
  }
  for (std::int64_t p = 0; p < positions; ++p) {
    for (std::int64_t i = 0; i < half; ++i) {
      // In double: far positions would lose the angle's fraction.
      const double angle = static_cast<double>(p) * static_cast<double>(frequency[static_cast<std::size_t>(i)]);
      out[p * head_dim_ + i] = static_cast<float>(std::cos(angle));
      out[p * head_dim_ + half + i] = static_cast<float>(std::sin(angle));
    }
  }
  table_ = host.to(device);
  return table_;
}

at::Tensor hash_rows(const HashTables& tables, const at::Tensor& ids, const at::Tensor& start) {
  const at::Tensor rows = at::empty({tables.tables(), ids.numel()}, ids.options());
  const auto run = [&](const at::Tensor& sizes, const at::Tensor& primes) {
    kernel_table(ids).hash_rows({typed<int32_t>(ids), typed<int32_t>(start), typed<int32_t>(rows),
                                 typed<int32_t>(sizes), reinterpret_cast<const std::uint64_t*>(pointer(primes)),
                                 ids.numel(), tables.tables(), tables.table_rows});
  };
  const std::vector<std::int64_t> primes(tables.primes.begin(), tables.primes.end());
  run(int_tensor(tables.group_sizes, ids.device()),
      at::tensor(primes, at::TensorOptions().dtype(at::kLong)).to(ids.device()));
  return rows;
}

RowGradient take_gradient(HashTables& tables) {
  std::vector<at::Tensor> rows, dys;
  for (auto& gradient : tables.gradients) {
    rows.push_back(gradient.rows);
    dys.push_back(gradient.dy);
  }
  tables.gradients.clear();
  if (rows.empty()) return {};
  const at::Tensor all_rows = rows.size() == 1 ? rows[0] : at::cat(rows, 1);
  const at::Tensor dy = dys.size() == 1 ? dys[0] : at::cat(dys, 0);
  const std::int64_t count = all_rows.size(1), table_count = all_rows.size(0);
  const at::Tensor base = at::arange(table_count, all_rows.options().dtype(at::kLong)).unsqueeze(1) * tables.table_rows;
  const at::Tensor keys = (all_rows.to(at::kLong) + base).flatten();
  auto [sorted, order] = at::sort(keys, /*stable=*/true, 0, false);
  auto [unique, inverse, counts] = at::unique_consecutive(sorted, false, true);
  const at::Tensor positions = order.remainder(count).to(at::kInt).contiguous();
  const at::Tensor offsets = at::zeros({unique.numel() + 1}, counts.options());
  offsets.slice(0, 1).copy_(counts.cumsum(0));
  const at::Tensor values = at::empty({unique.numel(), dy.size(1)}, dy.options());
  kernel_table(dy).scatter_sum({typed<float>(dy), typed<int32_t>(positions), typed<std::int64_t>(offsets),
                                typed<float>(values), unique.numel(), dy.size(1)});
  return {unique, values};
}

void adamw(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& moment1, at::Tensor& moment2,
           const AdamWStep& s, const at::Tensor& rows) {
  const auto f = [](double x) { return static_cast<float>(x); };
  const auto step = static_cast<double>(s.step);
  kernel_table(parameter).adamw({typed<float>(parameter), typed<float>(gradient), typed<float>(moment1),
                                 typed<float>(moment2), rows.defined() ? typed<std::int64_t>(rows) : nullptr,
                                 rows.defined() ? rows.numel() : parameter.numel(),
                                 rows.defined() ? gradient.size(1) : 0, f(s.learning_rate), f(s.beta1), f(s.beta2),
                                 f(s.eps), f(s.weight_decay), f(s.gradient_scale), f(1 - std::pow(s.beta1, step)),
                                 f(1 - std::pow(s.beta2, step))});
}

// OpenMP keeps a pool of threads for each thread that asks for one, and lets all of them sleep, not spin, between tasks when
// there are more than CPUs. What this thread's pool did (loading) may be over for good: it is made anew when it is needed.
void set_threads(int threads) {
  at::set_num_threads(resolve_threads(threads));
  alone_until = {};
  omp_pause_resource_all(omp_pause_soft);
}

at::ScalarType compute_type(const std::string& name, at::Device device) {
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  return device.is_cuda() || kernels::cpu_has_bf16() ? at::kBFloat16 : at::kFloat;
}

}  // namespace blt::nn
