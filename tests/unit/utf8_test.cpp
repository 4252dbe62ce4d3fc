// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "blt/base/random.h"
#include "blt/text/utf8.h"

using namespace blt;
using namespace blt::text;

namespace {

std::string encoded(char32_t code) {
  std::string out;
  append_utf8(out, code);
  return out;
}

}  // namespace

TEST_CASE("every scalar value is one character and reads back", "[utf8]") {
  for (char32_t code = 0; code <= 0x10FFFF; ++code) {
    if (code == 0xD800) code = 0xE000;
    const std::string text = encoded(code);
    const Utf8Step step = step_utf8(text);
    if (step.kind != Utf8Step::Kind::character || step.code != code || step.size != text.size())
      FAIL("code " << static_cast<std::uint32_t>(code));
    // Each proper prefix is unfinished.
    for (std::size_t n = 1; n < text.size(); ++n) {
      const Utf8Step part = step_utf8(std::string_view(text).substr(0, n));
      if (part.kind != Utf8Step::Kind::incomplete || part.size != n)
        FAIL("prefix of code " << static_cast<std::uint32_t>(code));
    }
  }
}

TEST_CASE("overlong forms, surrogates and values too large are invalid", "[utf8]") {
  for (const char* text :
       {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\x80", "\xE2\x28\xA1"}) {
    CHECK(step_utf8(text).kind == Utf8Step::Kind::invalid);
    CHECK(valid_prefix(text) == 0);
  }
}

TEST_CASE("valid_prefix stops before the first bad byte", "[utf8]") {
  CHECK(valid_prefix("") == 0);
  CHECK(valid_prefix("0123456789abcdef\xC3\xA9xyz") == 21);
  CHECK(valid_prefix("0123456789abcdef\xC3(") == 16);
  CHECK(valid_prefix("0123456\xE2\x82") == 7);
  CHECK(is_valid_utf8("\xF0\x9F\x98\x80"));
  CHECK_FALSE(is_valid_utf8("abc\xF0\x9F\x98"));
}

TEST_CASE("replacement takes maximal subparts, as Python's errors='replace'", "[utf8]") {
  const std::string r = "\xEF\xBF\xBD";
  CHECK(replace_invalid("a\xF0\x9F\x98z") == "a" + r + "z");
  CHECK(replace_invalid("\xF0\x80\x80") == r + r + r);
  CHECK(replace_invalid("\xE2\x82") == r);
  CHECK(replace_invalid("\xED\xA0\x80x") == r + r + r + "x");
  CHECK(replace_invalid("\xC3\xC3\xA9") == r + "\xC3\xA9");
}

TEST_CASE("a stream never shows half a character and loses nothing", "[utf8]") {
  Random random(7);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (int i = 0; i < 40; ++i) {
      if (random.below(4) == 0)
        text += static_cast<char>(random.below(256));
      else
        text += encoded(static_cast<char32_t>(random.below(2) ? random.below(0x80)
                                                              : 0x1F300 + random.below(200)));
    }
    Utf8Stream keep, replace(InvalidBytes::replace);
    std::string kept, replaced;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t n = 1 + random.below(5);
      const std::string_view part = std::string_view(text).substr(at, n);
      kept += keep.push(part);
      const std::string shown = replace.push(part);
      CHECK(is_valid_utf8(shown));
      replaced += shown;
      CHECK(keep.held() <= 3);
      at += part.size();
    }
    kept += keep.finish();
    replaced += replace.finish();
    CHECK(kept == text);
    CHECK(replaced == replace_invalid(text));
    CHECK(keep.held() == 0);
  }
}

TEST_CASE("a stream holds back the start of a character", "[utf8]") {
  Utf8Stream stream;
  CHECK(stream.push("ab\xE3\x81") == "ab");
  CHECK(stream.held() == 2);
  CHECK(stream.push("\x82") == "\xE3\x81\x82");
  CHECK(stream.push("\xE3\x81") == "");
  CHECK(stream.finish() == "\xE3\x81");
}

TEST_CASE("escape makes bytes fit for a terminal", "[utf8]") {
  CHECK(escape("a\tb\nc\\\x1b[0m") == "a\\tb\\nc\\\\\\x1b[0m");
  CHECK(escape("line\n", {.newlines = false}) == "line\n");
  CHECK(escape("\xC3\xA9\xFF\xE2\x82") == "\xC3\xA9\\xff\\xe2\\x82");
  CHECK(escape("\xE2\x80\xAE"
               "x\xC2\x85\xF3\xA0\x81\x81") == "\\u{202e}x\\u{85}\\u{e0041}");
  CHECK(escape("\xF0\x9F\x91\xA9\xE2\x80\x8D") == "\xF0\x9F\x91\xA9\xE2\x80\x8D");
}
