// SPDX-License-Identifier: MIT
// Base64 with padding (RFC 4648, section 4).
#include <algorithm>
#include <array>

#include "blt/base/error.h"
#include "blt/patch/json_lines.h"

namespace blt::patch {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<signed char, 256> make_values() {
  std::array<signed char, 256> values{};
  for (auto& value : values) value = -1;
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    values[static_cast<unsigned char>(alphabet[i])] = static_cast<signed char>(i);
  return values;
}
constexpr auto values_of = make_values();

}  // namespace

std::string encode_base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t word = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k)
      word = word << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k)
      out += k <= count ? alphabet[word >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string decode_base64(std::string_view text) {
  if (text.size() % 4) throw input_error("base64 text is not a multiple of 4 characters long");
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool filler = i + padding >= text.size();
    const int value = filler ? 0 : values_of[static_cast<unsigned char>(text[i])];
    if (value < 0) throw input_error(cat("base64 text has a wrong character at ", i));
    word = word << 6 | static_cast<std::uint32_t>(value);
    if (i % 4 < 3) continue;
    for (int shift = 16; shift >= 0; shift -= 8) out += static_cast<char>(word >> shift & 255);
    word = 0;
  }
  out.resize(out.size() - padding);
  return out;
}

}  // namespace blt::patch
