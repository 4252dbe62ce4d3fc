// SPDX-License-Identifier: MIT
// The safetensors format: an 8-byte header length, a JSON header, the tensors' bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "blt/base/files.h"

namespace blt::io {

enum class DType { f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean };
std::size_t dtype_size(DType dtype);
std::string_view dtype_name(DType dtype);  // "F32"

struct TensorView {
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
};

// A memory-mapped file. Every length, offset, count and name of the header is checked: offsets inside the file, in
// order, without overlap or gaps; shape x size == bytes; no duplicate names; header at most 100 MB. Errors: input.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);
  const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }
  const std::map<std::string, std::string, std::less<>>& metadata() const { return metadata_; }
  const TensorView& at(std::string_view name) const;  // input error names the file and the tensor
  const std::string& path() const { return file_->path(); }

 private:
  std::shared_ptr<MappedFile> file_;
  std::map<std::string, TensorView, std::less<>> tensors_;
  std::map<std::string, std::string, std::less<>> metadata_;
};

// Declares all tensors first, then streams their bytes in the declared order, so a file larger than memory can be written.
class SafetensorsWriter {
 public:
  explicit SafetensorsWriter(std::string path, bool force = true);
  ~SafetensorsWriter();
  void declare(std::string name, DType dtype, std::vector<std::int64_t> shape);
  void metadata(std::string key, std::string value);
  // In the order of declare(); may be called several times for one tensor. Errors: output, internal (wrong order or size).
  void write(std::string_view name, std::span<const std::byte> data);
  void commit();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace blt::io
