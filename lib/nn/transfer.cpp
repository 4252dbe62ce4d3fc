// SPDX-License-Identifier: MIT
#include "blt/nn/transfer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <algorithm>

#include "kernel_table.h"

namespace blt::nn {

at::Tensor int_tensor(const std::vector<std::int32_t>& values, at::Device device) {
  const auto options = at::TensorOptions(at::kInt).pinned_memory(device.is_cuda());
  const at::Tensor host = at::empty({static_cast<std::int64_t>(values.size())}, options);
  std::copy(values.begin(), values.end(), host.data_ptr<std::int32_t>());
  return host.to(device, /*non_blocking=*/true);
}

HostCopy::HostCopy(const at::Tensor& values) {
  const at::Tensor floats = values.to(at::kFloat).contiguous();
  host_ = floats.to(at::kCPU, /*non_blocking=*/true);
  if (floats.is_cpu()) return;
  arrived_.emplace(floats.device().type());
  arrived_->record(c10::impl::getDeviceGuardImpl(floats.device().type())->getStream(floats.device()));
}

const at::Tensor& HostCopy::get() const {
  if (arrived_) arrived_->synchronize();
  return host_;
}

std::int64_t busy_rows(std::int64_t multiprocessors, std::uint64_t memory, std::int64_t floats) {
  constexpr std::int64_t rows_each = 512;  // four rows of tiles of 128: the last, partial wave of tiles is then a small part
  constexpr std::int64_t least = 4096;
  const auto fit = static_cast<std::int64_t>(memory / 4 / sizeof(float)) / std::max<std::int64_t>(floats, 1);
  return std::max(least, std::min(multiprocessors * rows_each, fit));
}

std::int64_t busy_rows(at::Device gpu, std::int64_t floats) {
  const DeviceSize size = device_size(gpu);
  return busy_rows(size.multiprocessors, size.memory, floats);
}

}  // namespace blt::nn
