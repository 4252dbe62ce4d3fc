// SPDX-License-Identifier: MIT
// The safetensors format: an 8-byte header length, a JSON header, the tensors' bytes.
#pragma once

#include "blt/base/files.h"
#include "blt/io/tensor.h"

namespace blt::io {

// A memory-mapped file. Every length, offset, count and name of the header is checked: offsets inside the file, in
// order, without overlap or gaps; shape x size == bytes; no duplicate names; header at most 100 MB. Errors: input.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);
  const TensorMap& tensors() const { return tensors_; }
  const std::map<std::string, std::string, std::less<>>& metadata() const { return metadata_; }
  const TensorView& at(std::string_view name) const;  // input error names the file and the tensor
  const std::string& path() const { return file_->path(); }
  // What the views point into: whoever keeps it may keep them.
  const std::shared_ptr<MappedFile>& file() const { return file_; }

 private:
  std::shared_ptr<MappedFile> file_;
  TensorMap tensors_;
  std::map<std::string, std::string, std::less<>> metadata_;
};

class SafetensorsWriter final : public TensorWriter {
 public:
  explicit SafetensorsWriter(std::string path, bool force = true);
  ~SafetensorsWriter() override;
  void declare(std::string name, DType dtype, std::vector<std::int64_t> shape) override;
  void metadata(std::string key, std::string value);
  void write(std::string_view name, std::span<const std::byte> data) override;
  void commit() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace blt::io
