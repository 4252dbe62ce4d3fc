// SPDX-License-Identifier: MIT
// Walking UTF-8 in bytes of any kind, and showing such bytes on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace blt::text {

// What the front of a text holds.
struct Utf8Step {
  enum class Kind { character, incomplete, invalid };
  Kind kind = Kind::invalid;
  // Bytes of the character; of the started character at the text's end; or of the invalid run that
  // one U+FFFD stands for (the longest start of a character, else one byte: Unicode 15,
  // section 3.9, "maximal subparts").
  std::size_t size = 0;
  char32_t code = 0;  // of a character
};

// Precondition: text is not empty. Overlong forms, surrogates and values above U+10FFFF are
// invalid.
Utf8Step step_utf8(std::string_view text);

// The length of the longest prefix that is whole, valid characters.
std::size_t valid_prefix(std::string_view text);
inline bool is_valid_utf8(std::string_view text) {
  return valid_prefix(text) == text.size();
}

void append_utf8(std::string& out, char32_t code);

// Text with each invalid run as one U+FFFD.
std::string replace_invalid(std::string_view text);

enum class InvalidBytes { keep, replace };  // pass as they are, or as U+FFFD

// Bytes in, whole characters out: a character whose last bytes are still to come is held back.
class Utf8Stream {
 public:
  explicit Utf8Stream(InvalidBytes invalid = InvalidBytes::keep) : invalid_(invalid) {}
  // What can be shown now.
  std::string push(std::string_view bytes);
  // The rest: an unfinished character is invalid bytes. The stream is new again afterwards.
  std::string finish();
  std::size_t held() const { return held_.size(); }  // bytes, at most 3

 private:
  InvalidBytes invalid_;
  std::string held_;
};

struct EscapeOptions {
  bool newlines = true;  // escape \n as well
};

// Valid printable characters as they are; others as \n \t \r \\, \xHH (control and invalid bytes)
// or \u{H...} (C1 controls, line and paragraph separators, and the bidirectional and invisible
// formats that would disturb a terminal).
std::string escape(std::string_view bytes, const EscapeOptions& options = {});

}  // namespace blt::text
