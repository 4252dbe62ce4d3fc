// SPDX-License-Identifier: MIT
// Tensors as files hold them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blt::io {

enum class DType { f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean };
std::size_t dtype_size(DType dtype);
std::string_view dtype_name(DType dtype);      // "F32"
DType dtype_from_name(std::string_view name);  // errors: input

struct TensorView {
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;  // row-major, contiguous
};

using TensorMap = std::map<std::string, TensorView, std::less<>>;

// Bytes that `shape` needs. Errors: input (a negative extent, more than can be counted).
std::uint64_t tensor_bytes(DType dtype, std::span<const std::int64_t> shape);

// Declares all tensors first, then streams their bytes in the declared order, so a file larger than
// memory can be written.
class TensorWriter {
 public:
  virtual ~TensorWriter() = default;
  virtual void declare(std::string name, DType dtype, std::vector<std::int64_t> shape) = 0;
  // In the order of declare(); may be called several times for one tensor. Errors: output, internal
  // (wrong order or size).
  virtual void write(std::string_view name, std::span<const std::byte> data) = 0;
  virtual void commit() = 0;
};

}  // namespace blt::io
