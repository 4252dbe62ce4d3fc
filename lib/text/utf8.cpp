// SPDX-License-Identifier: MIT
#include "blt/text/utf8.h"

#include <cstdint>
#include <cstring>

namespace blt::text {
namespace {

constexpr char32_t replacement = 0xFFFD;

std::uint8_t byte_at(std::string_view text, std::size_t i) {
  return static_cast<std::uint8_t>(text[i]);
}

// Unicode 15, table 3-7: how long the character is and what its second byte may be. size 0: no
// character starts so.
struct Lead {
  std::size_t size;
  std::uint8_t low, high;
};

Lead lead_of(std::uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// C1 controls, separators, and formats that reorder or hide what stands beside them.
bool disturbs_terminal(char32_t c) {
  // The zero-width joiners 200C and 200D stay: Persian, Indic scripts and emoji need them.
  return (c >= 0x7F && c < 0xA0) || c == 0xAD || c == 0x61C || c == 0x200B || c == 0x200E ||
         c == 0x200F || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
         c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB) || (c >= 0xE0000 && c <= 0xE0FFF);
}

constexpr char hex_digits[] = "0123456789abcdef";

void append_byte_escape(std::string& out, std::uint8_t byte) {
  out += "\\x";
  out += hex_digits[byte >> 4];
  out += hex_digits[byte & 15];
}

void append_code_escape(std::string& out, char32_t code) {
  out += "\\u{";
  int shift = 20;
  while (shift > 0 && (code >> shift) == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) out += hex_digits[(code >> shift) & 15];
  out += '}';
}

void append_ascii_escaped(std::string& out, char c, const EscapeOptions& options) {
  if (c == '\n')
    out += options.newlines ? "\\n" : "\n";
  else if (c == '\t')
    out += "\\t";
  else if (c == '\r')
    out += "\\r";
  else if (c == '\\')
    out += "\\\\";
  else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
    append_byte_escape(out, static_cast<std::uint8_t>(c));
  else
    out += c;
}

}  // namespace

Utf8Step step_utf8(std::string_view text) {
  using Kind = Utf8Step::Kind;
  const std::uint8_t first = byte_at(text, 0);
  const Lead lead = lead_of(first);
  if (lead.size == 1) return {Kind::character, 1, first};
  if (lead.size == 0) return {Kind::invalid, 1, 0};
  char32_t code = first & (0x7F >> lead.size);
  for (std::size_t i = 1; i < lead.size; ++i) {
    if (i == text.size()) return {Kind::incomplete, i, 0};
    const std::uint8_t byte = byte_at(text, i);
    const bool legal = i == 1 ? byte >= lead.low && byte <= lead.high : (byte & 0xC0) == 0x80;
    if (!legal) return {Kind::invalid, i, 0};
    code = code << 6 | (byte & 0x3F);
  }
  return {Kind::character, lead.size, code};
}

std::size_t valid_prefix(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    // Eight ASCII bytes a time: most corpora are mostly ASCII.
    std::uint64_t word = 0;
    while (i + 8 <= text.size()) {
      std::memcpy(&word, text.data() + i, 8);
      if (word & 0x8080808080808080u) break;
      i += 8;
    }
    if (i == text.size()) break;
    const Utf8Step step = step_utf8(text.substr(i));
    if (step.kind != Utf8Step::Kind::character) return i;
    i += step.size;
  }
  return i;
}

void append_utf8(std::string& out, char32_t code) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::string replace_invalid(std::string_view text) {
  Utf8Stream stream(InvalidBytes::replace);
  std::string out = stream.push(text);
  return out += stream.finish();
}

std::string Utf8Stream::push(std::string_view bytes) {
  std::string joined;
  if (!held_.empty()) {
    joined = held_;
    joined += bytes;
    held_.clear();
    bytes = joined;
  }
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t whole = valid_prefix(bytes);
    out += bytes.substr(0, whole);
    bytes.remove_prefix(whole);
    if (bytes.empty()) break;
    const Utf8Step step = step_utf8(bytes);
    if (step.kind == Utf8Step::Kind::incomplete) {
      held_ = bytes;
      break;
    }
    if (invalid_ == InvalidBytes::keep)
      out += bytes.substr(0, step.size);
    else
      append_utf8(out, replacement);
    bytes.remove_prefix(step.size);
  }
  return out;
}

std::string Utf8Stream::finish() {
  std::string out;
  if (invalid_ == InvalidBytes::keep)
    out = held_;
  else if (!held_.empty())
    append_utf8(out, replacement);
  held_.clear();
  return out;
}

std::string escape(std::string_view bytes, const EscapeOptions& options) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const Utf8Step step = step_utf8(bytes);
    if (step.kind != Utf8Step::Kind::character) {
      for (std::size_t i = 0; i < step.size; ++i) append_byte_escape(out, byte_at(bytes, i));
    } else if (step.size == 1) {
      append_ascii_escaped(out, bytes[0], options);
    } else if (disturbs_terminal(step.code)) {
      append_code_escape(out, step.code);
    } else {
      out += bytes.substr(0, step.size);
    }
    bytes.remove_prefix(step.size);
  }
  return out;
}

}  // namespace blt::text
