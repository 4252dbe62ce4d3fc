// SPDX-License-Identifier: MIT
// Files of torch.save (a zip archive with a pickle), read without executing anything, and written.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "blt/base/files.h"
#include "blt/io/tensor.h"

namespace blt::io {

// A memory-mapped file of nested dicts of tensors. A tensor's name is its path of keys, joined by '/': "model/norm.weight".
// Values that are no tensors are passed over. Errors: input: anything that a restricted reader does not know (see
// lib/io/pickle.h), tensors outside their storage, tensors that are not contiguous.
class TorchFile {
 public:
  explicit TorchFile(const std::string& path);
  const TensorMap& tensors() const { return tensors_; }
  const std::string& path() const { return file_->path(); }
  const std::shared_ptr<MappedFile>& file() const { return file_; }

 private:
  std::shared_ptr<MappedFile> file_;
  TensorMap tensors_;
};

// Writes {top: {name: tensor}} as torch.save does. Data is streamed; offsets beyond 4 GiB use zip64.
class TorchWriter final : public TensorWriter {
 public:
  TorchWriter(std::string path, std::string top, bool force = true);
  ~TorchWriter() override;
  void declare(std::string name, DType dtype, std::vector<std::int64_t> shape) override;
  void write(std::string_view name, std::span<const std::byte> data) override;
  void commit() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace blt::io
