// SPDX-License-Identifier: MIT
// Tensors between the host and a device, with neither waiting for the other, and how much work a device likes at once.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace blt::nn {

// int32 [n]. To a GPU from page-locked memory: later work of its stream waits for the copy, the caller does not.
at::Tensor int_tensor(const std::vector<std::int32_t>& values, at::Device device);

// float32 values on their way to the host.
class HostCopy {
 public:
  explicit HostCopy(const at::Tensor& values);
  // Waits until they are there: contiguous, on the CPU.
  const at::Tensor& get() const;

 private:
  at::Tensor host_;
  std::optional<c10::Event> arrived_;  // none where nothing had to be copied
};

// Rows of a forward that give each multiprocessor of a GPU some tiles of every product, while their activations take a quarter of
// its memory at most (but 4096 rows in any case). floats: activations of one row that live at the same time.
std::int64_t busy_rows(at::Device gpu, std::int64_t floats);
// The rule, for a GPU of this size.
std::int64_t busy_rows(std::int64_t multiprocessors, std::uint64_t memory, std::int64_t floats);

}  // namespace blt::nn
