// SPDX-License-Identifier: MIT
#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "blt/base/error.h"
#include "blt/io/safetensors.h"

namespace blt::io {
namespace {
namespace ondemand = simdjson::ondemand;

constexpr std::uint64_t max_header_bytes = 100'000'000;  // as the format's own library has it

template <class T>
T get(simdjson::simdjson_result<T> result) {
  T value{};
  if (const auto code = std::move(result).get(value); code != simdjson::SUCCESS) {
    throw input_error(cat("header: ", simdjson::error_message(code)));
  }
  return value;
}

std::uint64_t little_endian_64(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

// A tensor as the header tells it; begin and end count from the first byte after the header.
struct Entry {
  std::string name;
  TensorView view;
  std::uint64_t begin = 0, end = 0;
};

void read_entry(ondemand::object fields, Entry& entry) {
  bool has_dtype = false, has_shape = false, has_offsets = false;
  const auto once = [](bool& seen, std::string_view key) {
    if (std::exchange(seen, true)) throw input_error(cat("\"", key, "\" comes twice"));
  };
  for (auto field : fields) {
    const std::string key(get(field.unescaped_key()));
    if (key == "dtype") {
      once(has_dtype, key);
      entry.view.dtype = dtype_from_name(get(field.value().get_string()));
    } else if (key == "shape") {
      once(has_shape, key);
      for (auto item : get(field.value().get_array())) {
        const std::int64_t extent = get(item.get_int64());
        if (extent < 0) throw input_error("a negative extent in \"shape\"");
        entry.view.shape.push_back(extent);
      }
    } else if (key == "data_offsets") {
      once(has_offsets, key);
      std::vector<std::uint64_t> offsets;
      for (auto item : get(field.value().get_array())) {
        offsets.push_back(get(item.get_uint64()));
        if (offsets.size() > 2) break;
      }
      if (offsets.size() != 2) throw input_error("\"data_offsets\" is not a pair");
      entry.begin = offsets[0];
      entry.end = offsets[1];
    } else {
      throw input_error(cat("unknown key \"", key.substr(0, 64), "\""));
    }
  }
  if (!has_dtype || !has_shape || !has_offsets) {
    throw input_error("\"dtype\", \"shape\" and \"data_offsets\" are not all there");
  }
}

void check_entry(const Entry& entry, std::uint64_t data_bytes) {
  if (entry.begin > entry.end || entry.end > data_bytes) {
    throw input_error(cat("offsets ", entry.begin, " to ", entry.end, " do not lie in the file's ",
                          data_bytes, " bytes of data"));
  }
  const std::uint64_t bytes = tensor_bytes(entry.view.dtype, entry.view.shape);
  if (bytes != entry.end - entry.begin) {
    throw input_error(
        cat("the shape needs ", bytes, " bytes, the offsets hold ", entry.end - entry.begin));
  }
}

using Metadata = std::map<std::string, std::string, std::less<>>;

void read_metadata(ondemand::object fields, Metadata& metadata) {
  for (auto field : fields) {
    std::string key(get(field.unescaped_key()));
    const std::string_view value = get(field.value().get_string());
    if (!metadata.emplace(std::move(key), value).second) throw input_error("a key comes twice");
  }
}

std::vector<Entry> read_header(std::span<const std::byte> header, Metadata& metadata) {
  const simdjson::padded_string text(reinterpret_cast<const char*>(header.data()), header.size());
  if (text.size() == 0 || text.data()[0] != '{') throw input_error("header: not a JSON object");
  ondemand::parser parser;
  auto document = get(parser.iterate(text));
  std::vector<Entry> entries;
  bool has_metadata = false;
  for (auto field : get(document.get_object())) {
    std::string name(get(field.unescaped_key()));
    if (name == "__metadata__") {
      if (std::exchange(has_metadata, true)) throw input_error("__metadata__ comes twice");
      with_context(name, [&] { read_metadata(get(field.value().get_object()), metadata); });
      continue;
    }
    Entry& entry = entries.emplace_back();
    entry.name = std::move(name);
    with_context(cat("tensor \"", entry.name, "\""),
                 [&] { read_entry(get(field.value().get_object()), entry); });
  }
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    throw input_error("header: something follows the JSON object");
  }
  return entries;
}

// Together the tensors cover the data exactly once.
void check_cover(const std::vector<Entry>& entries, std::uint64_t data_bytes) {
  std::vector<const Entry*> order;
  order.reserve(entries.size());
  for (const auto& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t at = 0;
  for (const Entry* entry : order) {
    if (entry->begin != at) {
      throw input_error(cat("tensor \"", entry->name, "\" starts at byte ", entry->begin,
                            entry->begin < at ? ", inside the one before it (" : ", behind a gap (",
                            "expected ", at, ")"));
    }
    at = entry->end;
  }
  if (at != data_bytes) {
    throw input_error(
        cat("the tensors hold ", at, " bytes, the file has ", data_bytes, " bytes of data"));
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path)
    : file_(std::make_shared<MappedFile>(path)) {
  with_context(path, [&] {
    const auto bytes = file_->bytes();
    constexpr std::size_t length_bytes = 8;
    if (bytes.size() < length_bytes) throw input_error("too short for a safetensors file");
    const std::uint64_t header_bytes = little_endian_64(bytes);
    if (header_bytes > max_header_bytes || header_bytes > bytes.size() - length_bytes) {
      throw input_error(cat("not a safetensors file or cut off: a header of ", header_bytes,
                            " bytes in a file of ", bytes.size()));
    }
    const auto data = bytes.subspan(length_bytes + header_bytes);
    auto entries = read_header(bytes.subspan(length_bytes, header_bytes), metadata_);
    for (const auto& entry : entries) {
      with_context(cat("tensor \"", entry.name, "\""), [&] { check_entry(entry, data.size()); });
    }
    check_cover(entries, data.size());
    for (auto& entry : entries) {
      entry.view.data = data.subspan(entry.begin, entry.end - entry.begin);
      const auto [where, is_new] = tensors_.emplace(std::move(entry.name), std::move(entry.view));
      if (!is_new) throw input_error(cat("tensor \"", where->first, "\" comes twice"));
    }
  });
}

const TensorView& SafetensorsFile::at(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw input_error(cat(path(), ": no tensor \"", name, "\""));
  return found->second;
}

}  // namespace blt::io
