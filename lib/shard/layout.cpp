// SPDX-License-Identifier: MIT
#include "layout.h"

#include <xxhash.h>

#include "blt/base/error.h"

namespace blt::shard {

void put_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(0x80 | (value & 0x7f));
    value >>= 7;
  }
  out += static_cast<char>(value);
}

std::uint32_t FieldReader::get_varint() {
  constexpr int max_bytes = 5;
  std::uint64_t value = 0;
  for (int i = 0; i < max_bytes; ++i) {
    const auto byte = get<std::uint8_t>();
    value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      if ((byte == 0 && i > 0) || value > 0xFFFFFFFFu) break;
      return static_cast<std::uint32_t>(value);
    }
  }
  throw input_error("a malformed number");
}

std::span<const std::byte> FieldReader::take(std::size_t count) {
  if (count > bytes_.size()) throw input_error("cut off");
  const auto taken = bytes_.first(count);
  bytes_ = bytes_.subspan(count);
  return taken;
}

std::string_view FieldReader::take_text(std::size_t count) {
  const auto taken = take(count);
  return {reinterpret_cast<const char*>(taken.data()), taken.size()};
}

std::uint32_t content_checksum(std::span<const std::byte> content) {
  return static_cast<std::uint32_t>(XXH64(content.data(), content.size(), 0));
}

}  // namespace blt::shard
