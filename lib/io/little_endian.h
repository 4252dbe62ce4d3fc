// SPDX-License-Identifier: MIT
// Little-endian numbers in files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace blt::io {

// Precondition: at + sizeof(T) <= bytes.size().
template <class T>
T read_little_endian(std::span<const std::byte> bytes, std::size_t at = 0) {
  T value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) {
    value = static_cast<T>(static_cast<std::uint64_t>(value) << 8 |
                           std::to_integer<std::uint64_t>(bytes[at + i]));
  }
  return value;
}

template <class T>
void append_little_endian(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
}

}  // namespace blt::io
