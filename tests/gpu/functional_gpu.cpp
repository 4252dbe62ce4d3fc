// SPDX-License-Identifier: MIT
// The CUDA plugin's kernels against the CPU's, as table functions and through the differentiable
// operations.
#include <ATen/ATen.h>
#include <c10/core/StreamGuard.h>
#include <torch/csrc/autograd/autograd.h>
#undef CHECK
#include <catch2/catch.hpp>

#include "blt/nn/functional.h"
#include "gpu/gpu.h"
#include "kernel_table.h"
#include "unit/kernel_cases.h"

using namespace blt;
using at::Tensor;

namespace {

class DeviceMemory : public kernel_cases::Memory {
 public:
  explicit DeviceMemory(at::Device device) : device_(device) {}

  void* upload(const void* data, std::size_t bytes) override {
    const Tensor host = at::empty({static_cast<int64_t>(bytes)}, at::kByte);
    if (bytes) std::memcpy(host.data_ptr(), data, bytes);
    blocks_.push_back(at::empty({static_cast<int64_t>(std::max<std::size_t>(bytes, 1))},
                                host.options().device(device_)));
    blocks_.back().narrow(0, 0, host.numel()).copy_(host);
    return blocks_.back().data_ptr();
  }
  void download(const void* from, void* to, std::size_t bytes) override {
    const Tensor there = at::from_blob(const_cast<void*>(from), {static_cast<int64_t>(bytes)},
                                       at::TensorOptions().dtype(at::kByte).device(device_));
    const Tensor host = there.cpu();
    if (bytes) std::memcpy(to, host.data_ptr(), bytes);
  }

 private:
  at::Device device_;
  std::vector<Tensor> blocks_;
};

const kernels::Table& table_of(at::Device device) {
  return nn::kernel_table(at::empty({1}, at::TensorOptions().device(device)));
}

void check_cases(at::Device device, const std::vector<kernel_cases::Case>& cases) {
  const kernels::Table& cuda = table_of(device);
  REQUIRE(std::string(cuda.name) == "cuda");
  for (const auto& c : cases) {
    INFO(c.name);
    DeviceMemory memory(device);
    kernel_cases::HostMemory host;
    CHECK(compare(c, cuda, memory, kernels::cpu_table(), host) == "");
    kernel_cases::Case same = c;
    same.bound = 0;
    CHECK(compare(same, cuda, memory, cuda, memory) == "");  // the same bits each time
  }
}

double error(const Tensor& ours, const Tensor& reference) {
  const Tensor a = ours.detach().cpu().to(at::kDouble), b = reference.detach().to(at::kDouble);
  return ((a - b).norm() / (b.norm() + 1e-12)).item<double>();
}

using Operation = std::function<Tensor(const std::vector<Tensor>&, at::Device)>;

// One operation and its gradients on both devices.
void compare_operation(at::Device device, const std::vector<Tensor>& inputs,
                       const Operation& operation, double bound) {
  std::vector<Tensor> here, there;
  for (const auto& input : inputs) {
    here.push_back(input.detach().clone().requires_grad_(true));
    there.push_back(input.detach().to(device).requires_grad_(true));
  }
  const Tensor y = operation(here, at::kCPU), z = operation(there, device);
  REQUIRE(z.device() == device);
  CHECK(error(z, y) < bound);
  const Tensor cotangent = at::randn(y.sizes()).to(y.scalar_type());
  const auto gy = torch::autograd::grad({y}, here, {cotangent});
  const auto gz = torch::autograd::grad({z}, there, {cotangent.to(device)});
  for (std::size_t i = 0; i < gy.size(); ++i) {
    INFO("gradient of input " << i);
    CHECK(error(gz[i], gy[i]) < bound);
  }
}

}  // namespace

TEST_CASE("CUDA kernels agree with the CPU's") {
  if (const auto device = gpu()) check_cases(*device, kernel_cases::simple_cases());
}

TEST_CASE("CUDA attention agrees with the CPU's") {
  if (const auto device = gpu()) check_cases(*device, kernel_cases::attention_cases());
}

TEST_CASE("CUDA attention leaves keys that no query sees") {
  const auto device = gpu();
  if (!device) return;
  DeviceMemory memory(*device);
  CHECK(kernel_cases::unseen_keys(table_of(*device), memory) == "");
}

TEST_CASE("operations and their gradients on the GPU") {
  const auto device = gpu();
  if (!device) return;
  at::manual_seed(3);
  for (const auto& [type, bound] : {std::pair(at::kFloat, 1e-4), std::pair(at::kBFloat16, 2e-2)}) {
    compare_operation(
        *device, {at::randn({600, 192}), at::randn({192})},
        [t = type](const auto& x, at::Device) { return nn::rms_norm(x[0], x[1], 1e-5, t); }, bound);
    compare_operation(
        *device, {at::randn({300, 512}), at::randn({300, 512})},
        [t = type](const auto& x, at::Device) { return nn::swiglu(x[0].to(t), x[1].to(t)); },
        bound);
    const Tensor target = at::randint(0, 260, {300}, at::kInt);
    compare_operation(
        *device, {at::randn({300, 260})},
        [&, t = type](const auto& x, at::Device d) {
          return nn::cross_entropy(x[0].to(t), target.to(d), 0.01);
        },
        bound);
    std::vector<int32_t> first, last;
    for (int32_t i = 0; i < 2000; ++i)
      first.push_back(i < 1500 ? std::max(0, i - 511) : 1500), last.push_back(i + 1);
    const Tensor position = at::arange(2000, at::kInt);
    compare_operation(
        *device, {at::randn({2000, 256}), at::randn({2000, 128}), at::randn({2000, 128})},
        [&, t = type](const auto& x, at::Device d) {
          nn::Rope rope(64, 10000);
          return nn::attention(x[0].to(t).clone(), x[1].to(t).clone(), x[2].to(t),
                               nn::make_ranges(first, last, 1, d), {4, 2, 64}, rope.table(2000, d),
                               position.to(d));
        },
        bound);
  }
  const Tensor starts = at::tensor({0, 3, 3, 9, 40}, at::kInt);
  compare_operation(
      *device, {at::randn({40, 64})},
      [&](const auto& x, at::Device d) { return nn::segment_max(x[0], starts.to(d)); }, 1e-6);
}

TEST_CASE("hash tables and AdamW on the GPU") {
  const auto device = gpu();
  if (!device) return;
  const Tensor weight = at::randn({2 * 101, 16}), embedding = at::randn({260, 16}),
               cotangent = at::randn({500, 16});
  const Tensor ids = at::randint(0, 260, {500}, at::kInt), start = at::zeros({500}, at::kInt);
  const auto run = [&](at::Device d) {
    nn::HashTables tables;
    tables.table_rows = 101;
    tables.group_sizes = {2, 5};
    tables.primes = {1000000007, 5915587277};
    tables.trainable = true;
    tables.weight = weight.to(d, at::kFloat, false, /*copy=*/true);
    const Tensor leaf = embedding.to(d, at::kFloat, false, /*copy=*/true).requires_grad_(true);
    const Tensor out = nn::hash_embedding(leaf, tables, ids.to(d), start.to(d));
    out.backward(cotangent.to(d));
    const auto gradient = nn::take_gradient(tables);
    Tensor m = at::zeros_like(tables.weight), v = at::zeros_like(tables.weight);
    nn::adamw(tables.weight, gradient.values, m, v, {1e-2, 0.9, 0.95, 1e-8, 0.1, 1, 1},
              gradient.rows);
    return std::vector<Tensor>{out, leaf.grad(), gradient.rows, gradient.values, tables.weight, m,
                               v};
  };
  const auto here = run(at::kCPU), there = run(*device);
  for (std::size_t i = 0; i < here.size(); ++i) {
    INFO("result " << i);
    CHECK(error(there[i], here[i]) < 1e-5);
  }
}

TEST_CASE("kernels run on the current stream") {
  const auto device = gpu();
  if (!device) return;
  const auto* guard = c10::impl::getDeviceGuardImpl(at::kCUDA);
  const Tensor x = at::randn({4096, 1024}), w = at::ones({1024});
  const Tensor y = nn::rms_norm(x, w, 1e-5, at::kFloat), there = w.to(*device);
  for (int round = 0; round < 20; ++round) {
    const c10::StreamGuard stream(guard->getStreamFromGlobalPool(*device, false));
    const Tensor late =
        x.to(*device) * 3 / 3;  // on this stream: a kernel on another would read it too early
    CHECK(error(nn::rms_norm(late, there, 1e-5, at::kFloat), y) < 1e-6);
  }
}
