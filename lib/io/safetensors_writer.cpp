// SPDX-License-Identifier: MIT
#include <algorithm>

#include "blt/base/error.h"
#include "blt/base/json.h"
#include "blt/io/safetensors.h"

namespace blt::io {

struct SafetensorsWriter::Impl {
  struct Tensor {
    std::string name;
    DType dtype;
    std::vector<std::int64_t> shape;
    std::uint64_t bytes = 0;
  };

  AtomicFile file;
  std::vector<Tensor> tensors;
  std::map<std::string, std::size_t, std::less<>> index;  // name -> place in `tensors`
  std::map<std::string, std::string, std::less<>> metadata;
  bool header_written = false;
  std::size_t current = 0;    // the tensor that is being written
  std::uint64_t written = 0;  // bytes of it

  Impl(std::string path, bool force) : file(std::move(path), force) {}

  void require_no_data(std::string_view what) const {
    if (header_written) throw internal_error(cat("safetensors: ", what, " after the first write"));
  }

  void write_header() {
    if (std::exchange(header_written, true)) return;
    // Entry by entry: finding a key in one big ordered object takes linear time.
    std::string text = "{";
    const auto add = [&text](const std::string& key, const Json& value) {
      if (text.size() > 1) text += ',';
      text += cat(dump_json(Json(key)), ":", dump_json(value));
    };
    if (!metadata.empty()) add("__metadata__", Json(metadata));
    std::uint64_t offset = 0;
    for (const auto& tensor : tensors) {
      add(tensor.name, {{"dtype", std::string(dtype_name(tensor.dtype))},
                        {"shape", tensor.shape},
                        {"data_offsets", {offset, offset + tensor.bytes}}});
      offset += tensor.bytes;
    }
    text += '}';
    // Mapped weights are read where they lie: the data starts at a cache line, so that no vector crosses one (docs/results.md).
    constexpr std::size_t line = 64, length_bytes = 8;
    text.resize((length_bytes + text.size() + line - 1) / line * line - length_bytes, ' ');
    std::string length;
    for (int i = 0; i < 8; ++i)
      length += static_cast<char>(static_cast<std::uint64_t>(text.size()) >> (8 * i));
    file.write(length);
    file.write(text);
  }

  // Steps over tensors that are complete (those without bytes need no write).
  void skip_complete() {
    while (current < tensors.size() && written == tensors[current].bytes) {
      ++current;
      written = 0;
    }
  }
};

SafetensorsWriter::SafetensorsWriter(std::string path, bool force)
    : impl_(std::make_unique<Impl>(std::move(path), force)) {}
SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::declare(std::string name, DType dtype, std::vector<std::int64_t> shape) {
  impl_->require_no_data("declare()");
  if (name == "__metadata__") throw internal_error("safetensors: __metadata__ is no tensor name");
  std::uint64_t bytes = dtype_size(dtype);
  for (const std::int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes)) {
      throw internal_error(cat("safetensors: tensor \"", name, "\" has an impossible shape"));
    }
  }
  if (!impl_->index.emplace(name, impl_->tensors.size()).second) {
    throw internal_error(cat("safetensors: tensor \"", name, "\" is declared twice"));
  }
  impl_->tensors.push_back({std::move(name), dtype, std::move(shape), bytes});
}

void SafetensorsWriter::metadata(std::string key, std::string value) {
  impl_->require_no_data("metadata()");
  impl_->metadata[std::move(key)] = std::move(value);
}

void SafetensorsWriter::write(std::string_view name, std::span<const std::byte> data) {
  Impl& impl = *impl_;
  impl.write_header();
  if (data.empty() && impl.index.find(name) != impl.index.end()) return;
  impl.skip_complete();
  if (impl.current == impl.tensors.size() || impl.tensors[impl.current].name != name) {
    throw internal_error(cat("safetensors: tensor \"", name, "\" is not the next one to write"));
  }
  if (data.size() > impl.tensors[impl.current].bytes - impl.written) {
    throw internal_error(cat("safetensors: tensor \"", name, "\" gets more bytes than declared"));
  }
  impl.file.write(data);
  impl.written += data.size();
}

void SafetensorsWriter::commit() {
  Impl& impl = *impl_;
  impl.write_header();
  impl.skip_complete();
  if (impl.current != impl.tensors.size()) {
    throw internal_error(
        cat("safetensors: tensor \"", impl.tensors[impl.current].name, "\" is not complete"));
  }
  impl.file.commit();
}

}  // namespace blt::io
