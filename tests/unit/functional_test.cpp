// SPDX-License-Identifier: MIT
// Every operation and its gradient against plain ATen in float64.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#undef CHECK
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <thread>

#include "blt/base/memory.h"
#include "blt/kernels/kernels.h"
#include "blt/nn/functional.h"
#include "blt/nn/memory.h"
#include "blt/nn/transfer.h"

using namespace blt;
using at::Tensor;

namespace {

Tensor leaf(at::IntArrayRef sizes) { return at::randn(sizes, at::kFloat).requires_grad_(true); }
Tensor twin(const Tensor& x) { return x.detach().to(at::kDouble).requires_grad_(true); }

double error(const Tensor& ours, const Tensor& reference) {
  const Tensor difference = ours.detach().to(at::kDouble) - reference.detach();
  return (difference.norm() / (reference.detach().norm() + 1e-12)).item<double>();
}

// Runs both, then their gradients under the same random cotangent.
void compare(const std::vector<Tensor>& inputs, const std::function<Tensor(const std::vector<Tensor>&)>& ours,
             const std::function<Tensor(const std::vector<Tensor>&)>& reference, double bound) {
  std::vector<Tensor> twins;
  for (const auto& input : inputs) twins.push_back(twin(input));
  const Tensor y = ours(inputs), z = reference(twins);
  REQUIRE(y.sizes() == z.sizes());
  CHECK(error(y, z) < bound);
  const Tensor cotangent = at::randn(y.sizes());
  const auto gy = torch::autograd::grad({y}, inputs, {cotangent.to(y.scalar_type())});
  const auto gz = torch::autograd::grad({z}, twins, {cotangent.to(at::kDouble)});
  for (std::size_t i = 0; i < gy.size(); ++i) {
    INFO("gradient of input " << i);
    CHECK(error(gy[i], gz[i]) < bound);
  }
}

struct Case {
  at::ScalarType type;
  double bound;
};
const Case cases[] = {{at::kFloat, 2e-6}, {at::kBFloat16, 1.5e-2}};

Tensor attention_reference(const Tensor& q, const Tensor& k, const Tensor& v, const std::vector<int32_t>& first,
                           const std::vector<int32_t>& last, nn::AttentionShape s) {
  const auto split = [&](const Tensor& x, int64_t heads) { return x.view({x.size(0), heads, s.head_dim}).transpose(0, 1); };
  const Tensor Q = split(q, s.heads);
  const Tensor K = split(k, s.kv_heads).repeat_interleave(s.heads / s.kv_heads, 0);
  const Tensor V = split(v, s.kv_heads).repeat_interleave(s.heads / s.kv_heads, 0);
  const Tensor mask = at::full({q.size(0), k.size(0)}, -1e30, at::kDouble);
  Tensor any = at::zeros({q.size(0), 1}, at::kDouble);
  for (int64_t i = 0; i < q.size(0); ++i) {
    if (last[i] > first[i]) {
      mask[i].slice(0, first[i], last[i]).fill_(0);
      any[i].fill_(1);
    }
  }
  const Tensor w = at::softmax(at::matmul(Q, K.transpose(1, 2)) / std::sqrt(double(s.head_dim)) + mask, -1) * any;
  return at::matmul(w, V).transpose(0, 1).reshape(q.sizes());
}

void check_attention(int64_t queries, int64_t keys, const std::vector<int32_t>& first, const std::vector<int32_t>& last,
                     nn::AttentionShape s, int64_t least) {
  const nn::Ranges ranges = nn::make_ranges(first, last, least, at::kCPU);
  const auto* tasks = ranges.tasks.data_ptr<int32_t>();
  for (int64_t t = 1; t + 1 < ranges.tasks.numel(); ++t) REQUIRE(tasks[t] > tasks[t - 1]);
  for (const Case& c : cases) {
    compare({leaf({queries, s.heads * s.head_dim}), leaf({keys, s.kv_heads * s.head_dim}), leaf({keys, s.kv_heads * s.head_dim})},
            [&](const auto& x) {
              return nn::attention(x[0].to(c.type).clone(), x[1].to(c.type).clone(), x[2].to(c.type), ranges, s);
            },
            [&](const auto& x) { return attention_reference(x[0], x[1], x[2], first, last, s); }, c.bound);
  }
}

}  // namespace

TEST_CASE("RMSNorm") {
  for (const int64_t dim : {192, 50}) {
    for (const Case& c : cases) {
      compare({leaf({600, dim}), leaf({dim})}, [&](const auto& x) { return nn::rms_norm(x[0], x[1], 1e-5, c.type); },
              [](const auto& x) { return x[0] / (x[0].pow(2).mean(1, true) + 1e-5).sqrt() * x[1]; }, c.bound);
    }
  }
}

TEST_CASE("several linears of one input") {
  for (const Case& c : cases) {
    compare({leaf({70, 48}), leaf({32, 48}), leaf({16, 48})},
            [&](const auto& x) { return at::cat(nn::linears(x[0].to(c.type), {x[1], x[2]}), 1); },
            [](const auto& x) { return at::cat({at::mm(x[0], x[1].t()), at::mm(x[0], x[2].t())}, 1); }, c.bound);
  }
}

TEST_CASE("SwiGLU") {
  for (const Case& c : cases) {
    compare({leaf({33, 57}), leaf({33, 57})}, [&](const auto& x) { return nn::swiglu(x[0].to(c.type), x[1].to(c.type)); },
            [](const auto& x) { return at::silu(x[0]) * x[1]; }, c.bound);
  }
}

TEST_CASE("causal attention with windows and blocks") {
  for (const auto& s : {nn::AttentionShape{3, 3, 64}, {4, 2, 16}, {2, 1, 12}, {1, 1, 80}}) {
    std::vector<int32_t> first, last;
    const int32_t n = 333, window = 150;
    for (int32_t i = 0; i < n; ++i) {
      const int32_t block = i < 200 ? 0 : i < 207 ? 200 : 207;
      first.push_back(std::max(block, i - window + 1));
      last.push_back(i + 1);
    }
    check_attention(n, n, first, last, s, 1);
  }
}

TEST_CASE("cross attention over short ranges, some empty") {
  std::vector<int32_t> first, last, bytes_first, bytes_last;
  int32_t keys = 0;
  for (int32_t patch = 0; patch < 40; ++patch) {
    const int32_t length = patch % 7;
    for (int32_t r = 0; r < 2; ++r) first.push_back(keys), last.push_back(keys + length);
    for (int32_t b = 0; b < length; ++b) bytes_first.push_back(2 * patch), bytes_last.push_back(2 * patch + 2);
    keys += length;
  }
  for (const auto& s : {nn::AttentionShape{2, 2, 32}, {4, 2, 24}}) {
    check_attention(80, keys, first, last, s, 1);
    check_attention(80, keys, first, last, s, 1000);
    check_attention(keys, 80, bytes_first, bytes_last, s, 16);
  }
}

TEST_CASE("attention over ranges longer than a tile in one patch") {
  std::vector<int32_t> first, last;
  for (int32_t i = 0; i < 5; ++i) first.push_back(i < 2 ? 0 : 100), last.push_back(i < 2 ? 100 : 103);
  check_attention(5, 103, first, last, {2, 2, 32}, 1);
}

TEST_CASE("rotary embedding turns interleaved pairs") {
  nn::Rope rope(16, 10000);
  const Tensor position = at::tensor({0, 5, 300}, at::kInt);
  const Tensor table = rope.table(301, at::kCPU);
  const nn::Ranges ranges = nn::make_ranges({0, 0, 0}, {1, 2, 3}, 1, at::kCPU);
  const auto rotated = [&](const Tensor& x) {
    const Tensor frequency = at::pow(10000.0, -at::arange(0, 16, 2, at::kDouble) / 16);
    const Tensor angle = position.to(at::kDouble).unsqueeze(1) * frequency;
    const Tensor pairs = x.view({3, 2, 8, 2}), c = angle.cos().unsqueeze(1), s = angle.sin().unsqueeze(1);
    const Tensor a = pairs.select(3, 0), b = pairs.select(3, 1);
    return at::stack({a * c - b * s, a * s + b * c}, 3).reshape({3, 32});
  };
  compare({leaf({3, 32}), leaf({3, 32}), leaf({3, 32})},
          [&](const auto& x) { return nn::attention(x[0] * 1, x[1] * 1, x[2], ranges, {2, 2, 16}, table, position); },
          [&](const auto& x) {
            return attention_reference(rotated(x[0]), rotated(x[1]), x[2], {0, 0, 0}, {1, 2, 3}, {2, 2, 16});
          }, 1e-5);
}

TEST_CASE("cross-entropy and entropy") {
  const Tensor target = at::randint(0, 260, {50}, at::kInt);
  target[7].fill_(-1);
  for (const Case& c : cases) {
    compare({leaf({50, 260})}, [&](const auto& x) { return nn::cross_entropy(x[0].to(c.type), target, 0.25); },
            [&](const auto& x) {
              const Tensor losses = -at::log_softmax(x[0], 1).gather(1, target.to(at::kLong).clamp_min(0).unsqueeze(1)).squeeze(1);
              return (losses * (target >= 0)).sum() * 0.25;
            }, c.bound);
  }
  const Tensor x = at::randn({50, 260}) * 3;
  const Tensor lp = at::log_softmax(x.to(at::kDouble), 1);
  CHECK(error(nn::entropy(x), -(lp.exp() * lp).sum(1)) < 2e-6);
}

TEST_CASE("segment maximum shares ties evenly") {
  const Tensor starts = at::tensor({0, 1, 1, 6, 10}, at::kInt);
  const Tensor x = leaf({10, 20});
  x.data().slice(0, 2, 4).copy_(at::ones({2, 20}) * 9);
  compare({x}, [&](const auto& v) { return nn::segment_max(v[0], starts); },
          [&](const auto& v) {
            return at::stack({v[0][0], at::zeros({20}, at::kDouble), v[0].slice(0, 1, 6).amax(0), v[0].slice(0, 6, 10).amax(0)});
          }, 1e-6);
}

TEST_CASE("hash rows have the published values") {  // spec section 4
  nn::HashTables tables;
  tables.table_rows = 500002;
  for (const int g : {3, 4, 5, 6, 7, 8}) tables.group_sizes.push_back(g), tables.primes.push_back(1000000007);
  const Tensor ids = at::tensor({1, 76, 105, 112}, at::kInt), start = at::zeros({4}, at::kInt);
  const Tensor expected = at::tensor({443987, 124875, 393970, 386145, 437197, 433869, 117936, 254402, 123201, 168913,
                                      27892,  170862, 166353, 160907, 92310,  405250, 34117,  338221, 15158,  281878,
                                      172383, 205585, 456240, 129346}, at::kInt).view({6, 4});
  CHECK(at::equal(nn::hash_rows(tables, ids, start), expected));
}

TEST_CASE("hash embedding and the gradient of its rows") {
  nn::HashTables tables;
  tables.table_rows = 11;
  tables.group_sizes = {2, 3};
  tables.primes = {1000000007, 1000000007};
  tables.trainable = true;
  tables.weight = at::randn({22, 8});
  const Tensor embedding = leaf({260, 8}), ids = at::randint(0, 260, {40}, at::kInt), start = at::zeros({40}, at::kInt);
  const Tensor out = nn::hash_embedding(embedding, tables, ids, start);
  const Tensor rows = nn::hash_rows(tables, ids, start).to(at::kLong);
  const Tensor w = twin(tables.weight), e = twin(embedding);
  const Tensor reference = e.index({ids.to(at::kLong)}) + w.index({rows[0]}) + w.index({rows[1] + 11});
  CHECK(error(out, reference) < 1e-6);
  const Tensor cotangent = at::randn({40, 8});
  out.backward(cotangent);
  reference.backward(cotangent.to(at::kDouble));
  CHECK(error(embedding.grad(), e.grad()) < 1e-6);
  const auto gradient = nn::take_gradient(tables);
  const Tensor dense = at::zeros({22, 8}).index_copy(0, gradient.rows, gradient.values);
  CHECK(error(dense, w.grad()) < 1e-6);
  CHECK(tables.gradients.empty());
}

TEST_CASE("AdamW, dense and by rows") {
  Tensor w = at::randn({6, 8}), m = at::zeros({6, 8}), v = at::zeros({6, 8});
  Tensor wd = w.to(at::kDouble), md = m.to(at::kDouble), vd = v.to(at::kDouble);
  for (int step = 1; step <= 3; ++step) {
    const Tensor g = at::randn({6, 8}), gd = g.to(at::kDouble) * 0.5;
    nn::adamw(w, g, m, v, {1e-2, 0.9, 0.95, 1e-8, 0.1, 0.5, step});
    md = 0.9 * md + 0.1 * gd;
    vd = 0.95 * vd + 0.05 * gd * gd;
    wd = wd * (1 - 1e-2 * 0.1) - 1e-2 * (md / (1 - std::pow(0.9, step))) / ((vd / (1 - std::pow(0.95, step))).sqrt() + 1e-8);
    CHECK(error(w, wd) < 1e-6);
  }
  const Tensor before = w.clone();
  nn::adamw(w, at::ones({2, 8}), m, v, {1e-2, 0.9, 0.95, 1e-8, 0, 1, 4}, at::tensor({1, 4}, at::kLong));
  const Tensor changed = (w != before).any(1);
  CHECK(at::equal(changed, at::tensor({0, 1, 0, 0, 1, 0}, at::kInt).to(at::kBool)));
}

TEST_CASE("a GPU's batches give all of it work and fit its memory") {
  const std::uint64_t gib = std::uint64_t{1} << 30;
  CHECK(nn::busy_rows(132, 80 * gib, 5636) == 132 * 512);
  CHECK(nn::busy_rows(20, 80 * gib, 5636) == 20 * 512);
  const auto small = nn::busy_rows(132, 4 * gib, 20000);  // the memory is the limit
  CHECK(small < 132 * 512);
  CHECK(static_cast<std::uint64_t>(small) * 20000 * sizeof(float) <= gib);
  CHECK(nn::busy_rows(1, gib, 5636) == 4096);
}

TEST_CASE("copies to and from the host keep their values") {
  const std::vector<std::int32_t> values = {3, -1, 2147483647, 0};
  const Tensor ints = nn::int_tensor(values, at::kCPU);
  CHECK(at::equal(ints, at::tensor({3, -1, 2147483647, 0}, at::kInt)));
  CHECK(nn::int_tensor({}, at::kCPU).numel() == 0);
  const Tensor x = at::randn({5, 3});
  CHECK(at::equal(nn::HostCopy(x).get(), x));
  const Tensor turned = nn::HostCopy(x.t().to(at::kBFloat16)).get();
  CHECK(turned.is_contiguous());
  CHECK(at::equal(turned, x.t().to(at::kBFloat16).to(at::kFloat)));
}

TEST_CASE("int8 weights differ from their floats by half a step at most") {
  const at::NoGradGuard no_gradients;
  for (const std::int64_t rows : {1, 15, 16, 17, 40}) {
    for (const std::int64_t in : {1, 7, 64}) {
      const at::Tensor w = at::randn({rows, in}), stored = nn::narrow(w, at::kChar), back = nn::in_float(stored);
      CHECK(stored.sizes() == at::IntArrayRef({rows, in + 4}));
      REQUIRE(back.sizes() == w.sizes());
      const at::Tensor step = w.abs().amax(1, true) / 127;
      CHECK(((back - w).abs() <= 0.5001 * step).all().item<bool>());
      // Products of a few rows, which read the stored form, and of many, which make floats of it.
      const at::Tensor x = at::randn({40, in}), many = nn::linear(x, stored), few = nn::linear(x.slice(0, 0, 3), stored);
      CHECK(error(few, at::mm(x.slice(0, 0, 3), back.t())) < 1e-6);
      CHECK(error(many, at::mm(x, back.t())) < 1e-2);  // rounded to bfloat16, where the hardware multiplies those
    }
  }
  CHECK(nn::in_float(nn::narrow(at::zeros({17, 5}), at::kChar)).abs().max().item<float>() == 0);
  const at::Tensor damaged = at::ones({17, 5});
  damaged[16][2] = std::nan("");
  const at::Tensor stored = nn::narrow(damaged, at::kChar), y = nn::linear(at::ones({1, 5}), stored)[0];
  CHECK(y[0].item<float>() == Approx(5));
  CHECK(std::isnan(y[16].item<float>()));
  CHECK_THROWS(nn::narrow(stored, at::kChar));
}

TEST_CASE("narrow bfloat16 weights are the rounded floats") {
  const at::NoGradGuard no_gradients;
  for (const std::int64_t rows : {1, 15, 16, 17, 40}) {
    for (const std::int64_t in : {1, 7, 64}) {
      const at::Tensor w = at::randn({rows, in}), stored = nn::narrow(w, at::kShort), rounded = w.to(at::kBFloat16);
      REQUIRE(stored.sizes() == w.sizes());
      CHECK(at::equal(nn::in_float(stored), rounded.to(at::kFloat)));
      const at::Tensor x = at::randn({40, in}), many = nn::linear(x, stored), few = nn::linear(x.slice(0, 0, 3), stored);
      CHECK(error(few, at::mm(x.slice(0, 0, 3), rounded.to(at::kFloat).t())) < 1e-6);
      CHECK(error(many, at::mm(x, rounded.to(at::kFloat).t())) < 1e-2);
    }
  }
}

TEST_CASE("memory in huge pages is as any other") {
  for (const std::int64_t rows : {0, 3, 700}) {
    const at::Tensor memory = nn::empty_in_huge_pages({rows, 1024}, at::kFloat);
    CHECK(memory.sizes() == at::IntArrayRef({rows, 1024}));
    CHECK(memory.scalar_type() == at::kFloat);
    memory.fill_(2);
    CHECK(memory.sum().item<float>() == static_cast<float>(2048 * rows));
    if (rows == 700) CHECK(reinterpret_cast<std::uintptr_t>(memory.data_ptr()) % huge_page == 0);
  }
}

TEST_CASE("kernels run in as many threads as are asked for") {
  nn::set_threads(3);
  nn::rms_norm(at::randn({1, 8}), at::ones({8}), 1e-5, at::kFloat);  // the first operation hands over ATen's threads
  // Each task waits until all have begun: one thread alone would wait for ever.
  std::atomic<int> begun{0};
  std::atomic<bool> together{true};
  const auto body = [&](std::int64_t) {
    ++begun;
    const auto start = std::chrono::steady_clock::now();
    while (begun < 3 && together) {
      if (std::chrono::steady_clock::now() - start > std::chrono::seconds(60)) together = false;
      std::this_thread::yield();
    }
  };
  kernels::parallel()(3, [](void* context, std::int64_t task) { (*static_cast<decltype(body)*>(context))(task); },
                      const_cast<void*>(static_cast<const void*>(&body)));
  CHECK(begun == 3);
  CHECK(together);
  nn::set_threads(0);
}

TEST_CASE("each task runs once, however tasks and threads are shared out") {
  for (const int threads : {1, 2, 3, 5}) {
    nn::set_threads(threads);
    for (const std::int64_t tasks : {1, 2, 3, 7, 64, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
      kernels::parallel()(tasks, [](void* context, std::int64_t task) { ++static_cast<std::atomic<int>*>(context)[task]; }, runs.data());
      CHECK(std::all_of(runs.begin(), runs.end(), [](const auto& count) { return count == 1; }));
    }
  }
  nn::set_threads(0);
}

TEST_CASE("a thread that is held up is not waited for again and again") {
  nn::set_threads(2);
  nn::rms_norm(at::randn({1, 8}), at::ones({8}), 1e-5, at::kFloat);
  const auto caller = std::this_thread::get_id();
  std::atomic<int> elsewhere{0};
  const auto run = [&](std::int64_t tasks, const std::function<void(bool others)>& work) {
    const auto body = [&](std::int64_t) {
      const bool others = std::this_thread::get_id() != caller;
      if (others) ++elsewhere;
      work(others);
    };
    kernels::parallel()(tasks, [](void* context, std::int64_t task) { (*static_cast<decltype(body)*>(context))(task); },
                        const_cast<void*>(static_cast<const void*>(&body)));
  };
  // The caller ends as soon as the other has begun, which takes longer.
  run(2, [&](bool others) {
    if (others) std::this_thread::sleep_for(std::chrono::milliseconds(200));
    else while (elsewhere == 0) std::this_thread::yield();
  });
  REQUIRE(elsewhere == 1);
  run(1000, [](bool) {});
  CHECK(elsewhere == 1);
  nn::set_threads(0);
}

TEST_CASE("all instruction sets of this CPU agree") {
  const int64_t rows = 100, dim = 70;
  const Tensor x = at::randn({rows, dim}), w = at::randn({dim});
  std::vector<Tensor> results;
  for (const char* name : kernels::cpu_table_names) {
    const kernels::Table* table = kernels::cpu_table(name);
    if (!table) continue;
    CHECK(std::string(table->name) == name);
    const Tensor y = at::empty({rows, dim}), inverse = at::empty({rows});
    table->rms_norm({x.data_ptr<float>(), w.data_ptr<float>(), y.data_ptr(), inverse.data_ptr<float>(), rows, dim, 1e-5f,
                     kernels::Element::f32});
    const Tensor loss = at::empty({rows}), dlogits = at::empty({rows, dim}), target = at::randint(0, dim, {rows}, at::kInt).fill_(3);
    table->cross_entropy({y.data_ptr(), target.data_ptr<int32_t>(), loss.data_ptr<float>(), dlogits.data_ptr(), rows, dim,
                          1.0f, kernels::Element::f32});
    results.push_back(at::cat({y.flatten(), loss, dlogits.flatten()}));
  }
  REQUIRE(results.size() >= 1);
  for (const auto& result : results) CHECK(at::allclose(result, results[0], 1e-5, 1e-6));
}
