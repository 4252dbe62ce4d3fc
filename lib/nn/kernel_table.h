// SPDX-License-Identifier: MIT
// From tensors to kernel parameters: the table of a device, element types, checked pointers.
#pragma once

#include <ATen/core/Tensor.h>

#include "blt/base/error.h"
#include "blt/kernels/kernels.h"

namespace blt::nn {

// The CPU's table or the CUDA plugin's. Errors: resource, for a device without kernels.
const kernels::Table& kernel_table(at::Device device);
inline const kernels::Table& kernel_table(const at::Tensor& tensor) { return kernel_table(tensor.device()); }
void set_cuda_table(const kernels::Table* table);

struct DeviceSize {
  int multiprocessors;
  std::uint64_t memory;  // bytes
};
// Of a GPU that open_device opened.
DeviceSize device_size(at::Device gpu);

// Lists of launches that run as one (CUDA graphs).
struct Recorder {
  // A graph of what `run` launches, with the parameters of now; none of it runs yet. The context stays until forget().
  void* (*record)(void (*run)(const void* context), const void* context);
  void (*replay)(void* graph);
  void (*forget)(void* graph);
};
// Null, where the device has none: the CPU.
const Recorder* recorder(at::Device device);
void set_recorder(at::DeviceType type, const Recorder* recorder);

inline kernels::Element element_of(at::ScalarType type) {
  if (type == at::kFloat) return kernels::Element::f32;
  if (type == at::kBFloat16) return kernels::Element::bf16;
  throw internal_error("kernels take float32 or bfloat16");
}
inline kernels::Element element_of(const at::Tensor& tensor) { return element_of(tensor.scalar_type()); }

inline void* pointer(const at::Tensor& tensor) {
  if (!tensor.is_contiguous()) throw internal_error("a kernel got a tensor that is not contiguous");
  return tensor.data_ptr();
}
template <class T>
T* typed(const at::Tensor& tensor) {
  return static_cast<T*>(pointer(tensor));
}

}  // namespace blt::nn
