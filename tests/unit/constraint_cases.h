// SPDX-License-Identifier: MIT
// What the tests of constraints share: walks through a constraint, PCRE2 as the judge of patterns, schemas.
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "blt/base/error.h"
#include "blt/base/random.h"
#include "blt/generate/constraint.h"
#include "blt/text/utf8.h"

namespace constraint_cases {

using namespace blt;
using namespace blt::generate;

inline std::uint8_t byte_of(char c) {
  return static_cast<std::uint8_t>(c);
}

// How many bytes of the text may be written; more than all: and then it may end.
inline std::size_t accepted(Constraint& constraint, std::string_view text) {
  constraint.reset();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!constraint.allowed().has(byte_of(text[i]))) return i;
    constraint.advance(byte_of(text[i]));
  }
  return text.size() + constraint.allowed().end;
}

inline bool accepts(Constraint& constraint, std::string_view text) {
  return accepted(constraint, text) > text.size();
}

inline std::vector<std::uint8_t> bytes_of(const Allowed& allowed) {
  std::vector<std::uint8_t> out;
  for (int b = 0; b < 256; ++b) {
    if (allowed.has(static_cast<std::uint8_t>(b))) out.push_back(static_cast<std::uint8_t>(b));
  }
  return out;
}

// A random text of the constraint. After `long_enough` bytes it takes what closes things. It fails
// where neither a byte nor the end is allowed.
inline std::string walk(Constraint& constraint, Random& random, std::size_t long_enough) {
  static const std::string closing = "\"]}0,:\\1ntrfe";
  constraint.reset();
  std::string text;
  for (;;) {
    const Allowed allowed = constraint.allowed();
    const auto choices = bytes_of(allowed);
    REQUIRE((allowed.end || !choices.empty()));
    const bool finish = text.size() > long_enough;
    if (allowed.end && (choices.empty() || finish || random.below(8) == 0)) return text;
    std::uint8_t byte = choices[random.below(choices.size())];
    // What gives structure is as likely as all the rest of the bytes.
    static const std::string structure = "{[\"\":,";
    const char c = structure[random.below(structure.size())];
    if (allowed.has(byte_of(c)) && random.below(2) == 0) byte = byte_of(c);
    if (finish) {
      const auto it = std::find_if(closing.begin(), closing.end(),
                                   [&](char b) { return allowed.has(byte_of(b)); });
      if (it != closing.end()) byte = byte_of(*it);
    }
    text += static_cast<char>(byte);
    constraint.advance(byte);
    REQUIRE(text.size() < 100'000);
  }
}

class Pcre {
 public:
  explicit Pcre(const std::string& pattern, bool utf8 = true) {
    int code = 0;
    PCRE2_SIZE at = 0;
    compiled_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                              (utf8 ? PCRE2_UTF : 0u) | PCRE2_ALT_BSUX | PCRE2_DOLLAR_ENDONLY,
                              &code, &at, nullptr);
    REQUIRE(compiled_);
    data_ = pcre2_match_data_create(1, nullptr);
  }
  ~Pcre() {
    pcre2_match_data_free(data_);
    pcre2_code_free(compiled_);
  }
  Pcre(const Pcre&) = delete;
  Pcre& operator=(const Pcre&) = delete;

  bool matches(std::string_view text) const {
    return match(text, PCRE2_ANCHORED | PCRE2_ENDANCHORED) >= 0;
  }
  bool found(std::string_view text) const { return match(text, 0) >= 0; }
  // The text can become one that matches: for a pattern that ends in \z.
  bool begins(std::string_view text) const {
    const int result = match(text, PCRE2_ANCHORED | PCRE2_PARTIAL_SOFT);
    return result >= 0 || result == PCRE2_ERROR_PARTIAL;
  }

 private:
  int match(std::string_view text, std::uint32_t options) const {
    return pcre2_match(compiled_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                       options, data_, nullptr);
  }
  pcre2_code* compiled_ = nullptr;
  pcre2_match_data* data_ = nullptr;
};

inline std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

inline Json schema(const char* text) {
  return Json::parse(text);
}

inline const std::vector<const char*> schemas = {
    R"({"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["a", "b", 3, null, {"x": [1, 2]}]}, "maxItems": 3}}, "required": ["age"]})",
    R"({"type": "object", "properties": {"a": {"type": "boolean"}, "ab": {"type": "null"}}, "additionalProperties": {"type": "integer"}})",
    R"({"type": "object", "required": ["z"], "additionalProperties": {"type": ["string", "null"], "minLength": 2}})",
    R"({"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "properties": {"value": {"type": "number"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "required": ["value"], "additionalProperties": false}}})",
    R"({"anyOf": [{"type": "array", "items": {"$ref": "#"}, "maxItems": 2}, {"type": "array", "items": {"$ref": "#"}, "minItems": 1}, {"const": "leaf"}]})",
    R"({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string", "pattern": "^[a-c]{2,3}$"}], "items": {"type": "boolean"}, "minItems": 2})",
    R"({"type": "string", "pattern": "x[^y]|\\d{2}$", "minLength": 3, "maxLength": 6})",
    R"({"type": "number", "minimum": -3, "exclusiveMaximum": 12})",
    R"({"type": "number", "exclusiveMinimum": 5})",
    R"({"type": "number", "maximum": -7})",
    R"({"type": "integer", "exclusiveMinimum": -120.5, "maximum": 1234})",
    R"({"minimum": 3, "maxLength": 2, "maxItems": 1, "required": ["k"]})",
    R"({"oneOf": [{"type": "integer"}, {"type": "null"}]})",
    R"({"type": "object", "properties": {"kind": {"const": "q\"\\\n"}, "any": true, "never": false}, "required": ["kind"]})",
    "true",
};

}  // namespace constraint_cases
