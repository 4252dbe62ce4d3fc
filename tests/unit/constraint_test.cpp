// SPDX-License-Identifier: MIT
// Constraints of regular expressions, choices and UTF-8, and what all constraints do: masks, taking back, forgetting, cost.
#include <chrono>
#include <iostream>
#include <map>

#include "constraint_cases.h"

using namespace constraint_cases;

namespace {

std::string regex_error(const std::string& pattern) {
  try {
    regex_constraint(pattern);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.what();
  }
  return "";
}

const std::vector<std::string> patterns = {
    "abc",
    "a|bc|",
    "(a|b)*abb",
    "a{2,4}b?",
    "[a-f]+[^a-z\\n]",
    "(?:ab|a)(bc)?",
    "\\d+(\\.\\d*)?",
    "\\w{3}\\W",
    "[\\x41-\\u0043]",
    "((a?b){1,2}c)*d",
    "^a|b$",
    "x{3}",
    "(a*)*b",
    "a{0}b",
    "[-a]\\-[a-]{1,}?",
    "{\"k\": [01]}",
    "(?<year>20[0-9]{2})-(0[1-9]|1[0-2])",
};

}  // namespace

TEST_CASE("constraint: regular expressions match what PCRE2 matches") {
  Random random(3);
  for (const auto& pattern : patterns) {
    INFO(pattern);
    const Pcre pcre(pattern);
    Constraint constraint = regex_constraint(pattern);
    for (int i = 0; i < 300; ++i) {
      const std::string text = walk(constraint, random, 6);
      INFO(text);
      REQUIRE(text::is_valid_utf8(text));
      REQUIRE(pcre.matches(text));
    }
    // All short texts of some letters: the same answer, whether it matches or not.
    const std::string letters = "abcd01";
    std::vector<std::string> texts = {""};
    for (std::size_t i = 0; i < texts.size() && texts[i].size() < 5; ++i) {
      CHECK((accepts(constraint, texts[i]) == pcre.matches(texts[i])));
      for (const char c : letters) texts.push_back(texts[i] + c);
    }
  }
}

TEST_CASE("constraint: a mask holds what can be completed, and nothing else") {
  Random random(4);
  for (const auto& pattern : patterns) {
    INFO(pattern);
    const Pcre pcre("(?:" + pattern + ")\\z", false);  // of ASCII patterns: bytes are characters
    Constraint constraint = regex_constraint(pattern);
    for (int i = 0; i < 20; ++i) {
      std::string text = walk(constraint, random, 8);
      text.resize(random.below(text.size() + 1));
      if (std::any_of(text.begin(), text.end(), [](char c) { return c < 0; })) continue;
      REQUIRE(accepted(constraint, text) >= text.size());
      const Allowed allowed = constraint.allowed();
      INFO(text);
      CHECK(allowed.end == pcre.matches(text));
      for (int b = 0; b < 128; ++b) {
        INFO(b);
        REQUIRE(allowed.has(static_cast<std::uint8_t>(b)) ==
                pcre.begins(text + static_cast<char>(b)));
      }
    }
  }
}

TEST_CASE("constraint: every state of small grammars can reach an end") {
  std::vector<Constraint> all;
  for (const auto& pattern : patterns) all.push_back(regex_constraint(pattern));
  all.push_back(regex_constraint("a(b|c[^\\s\\S])*"));  // a branch that leads nowhere
  all.push_back(schema_constraint(schema(schemas[5])));
  all.push_back(schema_constraint(schema(schemas[10])));
  all.push_back(choices_constraint("yes|no|not sure", true));
  Random random(5);
  for (auto& constraint : all) {
    // From anywhere on a random way the shortest completion is found breadth first.
    for (int i = 0; i < 10; ++i) {
      std::string text = walk(constraint, random, 8);
      text.resize(random.below(text.size() + 1));
      std::vector<std::string> level = {text};
      bool found = false;
      for (int depth = 0; depth < 40 && !found; ++depth) {
        std::vector<std::string> deeper;
        for (const auto& t : level) {
          REQUIRE(accepted(constraint, t) >= t.size());
          const Allowed allowed = constraint.allowed();
          found = found || allowed.end;
          for (const auto b : bytes_of(allowed)) {
            if (deeper.size() < 50) deeper.push_back(t + static_cast<char>(b));
          }
        }
        level = std::move(deeper);
      }
      INFO(text);
      CHECK(found);
    }
  }
  Constraint pruned = regex_constraint("a(b|c[^\\s\\S])*");
  CHECK(accepted(pruned, "abc") == 2);
}

TEST_CASE("constraint: characters beyond ASCII") {
  Constraint any = regex_constraint(".{2}");
  CHECK(accepts(any, "\xC3\xA9\xF0\x9F\x98\x80"));
  CHECK(accepted(any, "a\n") == 1);
  CHECK(accepted(any, "\xE2\x80\xA8") == 2);  // U+2028 is a line separator
  CHECK(accepted(any, "\xC3z") == 1);
  Constraint range = regex_constraint("[\\u00e0-\\u{10400}]");
  for (char32_t code = 0; code < 0x11000; code += code < 0x1000 ? 1 : 7) {
    if (code >= 0xD800 && code < 0xE000) continue;
    std::string text;
    text::append_utf8(text, code);
    REQUIRE(accepts(range, text) == (code >= 0xE0 && code <= 0x10400));
  }
  Constraint space = regex_constraint("\\s\\S");
  CHECK(accepts(space, "\xC2\xA0x"));
  CHECK(!accepts(space, "\t\xE3\x80\x80"));
  Constraint pair = regex_constraint("\\ud83d\\ude00");
  CHECK(accepts(pair, "\xF0\x9F\x98\x80"));
}

TEST_CASE("constraint: patterns that are not understood name the position") {
  using Catch::Contains;
  for (const auto& [pattern, message] : std::map<std::string, std::string>{
           {"a(b", "position 2: this ( is not closed"},
           {"ab)", "position 3: this ) closes nothing"},
           {"a[bc", "position 2: this [ is not closed"},
           {"*a", "position 1: nothing to repeat"},
           {"a{2}{3}", "a quantifier of a quantifier"},
           {"a++", "possessive"},
           {"a**", "a quantifier of a quantifier"},
           {"a{3,2}", "position 2: {m,n} with m > n"},
           {"a{,2}", "{0,n}"},
           {"(a)\\1", "position 4: back references"},
           {"(?=a)", "position 1: only"},
           {"(?<!a)b", "only"},
           {"(?i)a", "only"},
           {"\\bword", "assertions"},
           {"\\p{L}", "Unicode properties"},
           {"\\q", "unknown escape"},
           {"a\\", "position 2: \\ at the end"},
           {"\\x1", "not 2 hexadecimal digits"},
           {"\\ud800", "surrogate"},
           {"\\u{110000}", "no character"},
           {"[b-a]", "position 2: a range from a higher"},
           {"[\\d-z]", "a range between"},
           {"[[:alpha:]]", "POSIX"},
           {"a^b", "position 2: ^ and $"},
           {"a$b", "position 2: $ only"},
           {"(^a)", "position 2: ^ and $"},
           {"\xFF", "position 1: not valid UTF-8"},
           {"a{1000000}", "repetitions"},
           {"((a{1000}){1000}){1000}", "too large"},
           {"[^\\s\\S]", "no text"},
           {std::string(300, '(') + std::string(300, ')'), "nested"}}) {
    INFO(pattern);
    CHECK_THAT(regex_error(pattern), Contains(message));
  }
}

TEST_CASE("constraint: choices are whole texts") {
  Constraint c = choices_constraint("yes|yes please|no\\|maybe|a\\\\b|\\n", false);
  for (const char* text : {"yes", "yes please", "no|maybe", "a\\b", "\\n"}) CHECK(accepts(c, text));
  CHECK(accepted(c, "yep") == 2);
  CHECK(accepted(c, "no") == 2);
  accepted(c, "no|maybe");
  CHECK(c.complete());
  accepted(c, "yes");
  CHECK(!c.complete());
  CHECK_THROWS_AS(choices_constraint("a||b", false), Error);
  CHECK_THROWS_AS(choices_constraint("", false), Error);
  CHECK_THROWS_AS(choices_constraint("a|\xFF", true), Error);
  Constraint bytes = choices_constraint("a|\xFF", false);
  CHECK(accepts(bytes, "\xFF"));
}

TEST_CASE("constraint: UTF-8 is what is_valid_utf8 says") {
  Constraint c = utf8_constraint();
  CHECK(accepts(c, ""));
  Random random(6);
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (std::uint64_t n = random.below(5); n > 0; --n)
      text += static_cast<char>(random.below(2) ? 0x80 + random.below(0x40)
                                                : 0xC0 + random.below(0x40));
    REQUIRE(accepts(c, text) == text::is_valid_utf8(text));
  }
  for (int i = 0; i < 200; ++i) CHECK(text::is_valid_utf8(walk(c, random, 50)));
}

TEST_CASE("constraint: taking bytes back is as if they had never come") {
  Random random(7);
  std::vector<Constraint> all;
  all.push_back(json_constraint());
  all.push_back(utf8_constraint());
  for (const char* source : schemas) all.push_back(schema_constraint(schema(source)));
  for (auto& constraint : all) {
    for (int i = 0; i < 50; ++i) {
      const std::string text = walk(constraint, random, 40);
      const std::size_t keep = random.below(text.size() + 1);
      constraint.rollback(static_cast<std::int64_t>(text.size() - keep));
      CHECK(constraint.length() == static_cast<std::int64_t>(keep));
      const Allowed back = constraint.allowed();
      accepted(constraint, std::string_view(text).substr(0, keep));
      CHECK(back.bytes == constraint.allowed().bytes);
      CHECK(back.end == constraint.allowed().end);
    }
    constraint.reset();
    CHECK_THROWS_AS(constraint.rollback(1), Error);
    CHECK_THROWS_AS(constraint.advance(0xFF), Error);
    CHECK(constraint.length() == 0);
  }
}

TEST_CASE("constraint: ambiguity and depth do not multiply the work") {
  // Each level can be read in two ways: 2^200 ways in all. That a schema is itself says nothing.
  Constraint c = schema_constraint(schema(
      R"({"anyOf": [{"$ref": "#"}, {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
          {"type": "array", "items": {"$ref": "#"}, "minItems": 1}, {"const": "leaf"}]})"));
  const std::string deep = std::string(200, '[') + "\"leaf\"" + std::string(200, ']');
  CHECK(accepts(c, deep));
  Constraint regex = regex_constraint("(a|b)*a(a|b){12}");
  Random random(8);
  for (int i = 0; i < 20; ++i) walk(regex, random, 500);
}

TEST_CASE("constraint: states that are no longer wanted make room") {
  // Each letter may begin another repetition: every byte makes a state of more places.
  Constraint large = regex_constraint("(\\w+ ?){1,2200}"), small = regex_constraint("(\\w+ ?)+");
  Random random(10);
  std::string text;
  for (int i = 0; i < 2200; ++i) {
    text += i % 50 == 49 ? ' ' : static_cast<char>('a' + random.below(26));
    large.advance(byte_of(text.back()));
    small.advance(byte_of(text.back()));
    REQUIRE(large.allowed().bytes == small.allowed().bytes);
    REQUIRE(large.allowed().end == small.allowed().end);
  }
  CHECK(large.length() == 2200);
  large.rollback(256);
  small.rollback(256);
  CHECK(large.allowed().bytes == small.allowed().bytes);
  CHECK_THROWS_AS(large.rollback(1944), Error);  // earlier states are gone: room was made
  CHECK(small.length() == 1944);
  small.rollback(1944);
  large.reset();
  CHECK(large.allowed().bytes == small.allowed().bytes);
  CHECK(large.length() == 0);

  // The same with callers: nesting survives.
  Constraint json = json_constraint();
  std::string deep;
  for (int i = 0; i < 30'000; ++i) {
    deep += "[\n[ ";
    for (const char c : std::string_view("[\n[ ")) json.advance(byte_of(c));
  }
  for (int i = 0; i < 60'000; ++i) json.advance(']');
  CHECK(json.complete());
}

// Run by name: build/release/tests/constraint_test '[cost]'.
TEST_CASE("constraint: cost of a byte", "[.][cost]") {
  const auto cost = [](const char* name, const auto& make) {
    Constraint source = make(), fresh = make();
    Random random(9);
    std::vector<std::string> texts;
    for (int i = 0; i < 200; ++i) texts.push_back(walk(source, random, 300));
    for (const char* pass : {"first", "again"}) {
      std::size_t bytes = 0, allowed = 0;
      const auto begin = std::chrono::steady_clock::now();
      for (const auto& text : texts) {
        fresh.reset();
        for (const char b : text) {
          fresh.advance(byte_of(b));
          allowed += fresh.allowed().any_byte();
        }
        bytes += text.size();
      }
      const std::chrono::duration<double, std::nano> time =
          std::chrono::steady_clock::now() - begin;
      std::cout << name << ", " << pass << ": " << time.count() / static_cast<double>(bytes)
                << " ns/byte of " << bytes << " bytes\n";
      REQUIRE(allowed > 0);
    }
  };
  cost("json", json_constraint);
  cost("utf8", utf8_constraint);
  cost("schema", [] { return schema_constraint(schema(schemas[0])); });
  cost("recursive schema", [] { return schema_constraint(schema(schemas[3])); });
  cost("ambiguous schema", [] { return schema_constraint(schema(schemas[4])); });
  cost("wide schema", [] {  // 100 members that may be missing, each one of 50 words
    Json words = Json::array(), root = {{"type", "object"}};
    for (int i = 0; i < 50; ++i) words.push_back(cat("word ", i * 7919));
    for (int i = 0; i < 100; ++i) root["properties"][cat("member", i)] = {{"enum", words}};
    return schema_constraint(root);
  });
  cost("regex", [] { return regex_constraint("(a|b)*a(a|b){12}"); });
}
