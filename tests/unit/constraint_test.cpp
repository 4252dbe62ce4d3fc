// SPDX-License-Identifier: MIT
// Constraints against oracles that know nothing of them: nlohmann-json, PCRE2, and a validator of
// schemas below.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "blt/base/error.h"
#include "blt/base/random.h"
#include "blt/generate/constraint.h"
#include "blt/text/utf8.h"

using namespace blt;
using namespace blt::generate;

namespace {

std::uint8_t byte_of(char c) {
  return static_cast<std::uint8_t>(c);
}

// How many bytes of the text may be written; more than all: and then it may end.
std::size_t accepted(Constraint& constraint, std::string_view text) {
  constraint.reset();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!constraint.allowed().has(byte_of(text[i]))) return i;
    constraint.advance(byte_of(text[i]));
  }
  return text.size() + constraint.allowed().end;
}

bool accepts(Constraint& constraint, std::string_view text) {
  return accepted(constraint, text) > text.size();
}

std::vector<std::uint8_t> bytes_of(const Allowed& allowed) {
  std::vector<std::uint8_t> out;
  for (int b = 0; b < 256; ++b) {
    if (allowed.has(static_cast<std::uint8_t>(b))) out.push_back(static_cast<std::uint8_t>(b));
  }
  return out;
}

// A random text of the constraint. After `long_enough` bytes it takes what closes things. It fails
// where neither a byte nor the end is allowed.
std::string walk(Constraint& constraint, Random& random, std::size_t long_enough) {
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

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// What the tests' schemas use, as the specification says it.
class Validator {
 public:
  explicit Validator(const Json& root) : root_(root) {}
  bool valid(const Json& x) const { return valid(root_, x); }

 private:
  static bool is(const Json& x, const std::string& type) {
    if (type == "integer") return x.is_number_integer();
    if (type == "number") return x.is_number();
    return type == x.type_name();
  }
  bool valid(const Json& s, const Json& x) const {
    if (s.is_boolean()) return s.get<bool>();
    if (s.contains("$ref")) {
      const auto ref = s["$ref"].get<std::string>();
      return valid(root_.at(Json::json_pointer(ref.substr(1))), x);
    }
    for (const char* name : {"anyOf", "oneOf"}) {
      if (s.contains(name) && std::none_of(s[name].begin(), s[name].end(),
                                           [&](const Json& part) { return valid(part, x); }))
        return false;
    }
    if (s.contains("enum") && std::find(s["enum"].begin(), s["enum"].end(), x) == s["enum"].end())
      return false;
    if (s.contains("const") && s["const"] != x) return false;
    if (s.contains("type")) {
      const Json types = s["type"].is_array() ? s["type"] : Json::array({s["type"]});
      if (std::none_of(types.begin(), types.end(), [&](const Json& type) { return is(x, type); }))
        return false;
    }
    if (x.is_string()) return valid_string(s, x.get<std::string>());
    if (x.is_number()) return valid_number(s, x);
    if (x.is_array()) return valid_array(s, x);
    return !x.is_object() || valid_object(s, x);
  }
  static bool valid_string(const Json& s, const std::string& x) {
    return characters(x) >= s.value("minLength", 0u) &&
           (!s.contains("maxLength") || characters(x) <= s["maxLength"]) &&
           (!s.contains("pattern") || Pcre(s["pattern"]).found(x));
  }
  static bool valid_number(const Json& s, const Json& x) {
    return (!s.contains("minimum") || x >= s["minimum"]) &&
           (!s.contains("maximum") || x <= s["maximum"]) &&
           (!s.contains("exclusiveMinimum") || x > s["exclusiveMinimum"]) &&
           (!s.contains("exclusiveMaximum") || x < s["exclusiveMaximum"]);
  }
  bool valid_array(const Json& s, const Json& x) const {
    if (x.size() < s.value("minItems", 0u) || (s.contains("maxItems") && x.size() > s["maxItems"]))
      return false;
    const std::size_t first = s.contains("prefixItems") ? s["prefixItems"].size() : 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (i < first ? !valid(s["prefixItems"][i], x[i])
                    : s.contains("items") && !valid(s["items"], x[i]))
        return false;
    }
    return true;
  }
  bool valid_object(const Json& s, const Json& x) const {
    for (const auto& name : s.value("required", Json::array())) {
      if (!x.contains(name.get<std::string>())) return false;
    }
    const Json properties = s.value("properties", Json::object());
    for (const auto& [key, value] : x.items()) {
      if (properties.contains(key)
              ? !valid(properties[key], value)
              : s.contains("additionalProperties") && !valid(s["additionalProperties"], value))
        return false;
    }
    return true;
  }

  const Json& root_;
};

Json schema(const char* text) {
  return Json::parse(text);
}

std::string schema_error(const char* text) {
  try {
    schema_constraint(schema(text));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string regex_error(const std::string& pattern) {
  try {
    regex_constraint(pattern);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.what();
  }
  return "";
}

const std::vector<const char*> schemas = {
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

TEST_CASE("constraint: random JSON texts parse") {
  Constraint constraint = json_constraint();
  Random random(1);
  std::set<char> firsts;
  for (int i = 0; i < 2000; ++i) {
    const std::string text = walk(constraint, random, 60);
    INFO(text);
    REQUIRE(Json::accept(text));
    firsts.insert(text[0]);
  }
  for (const char c : std::string("{[\"-0tfn")) CHECK(firsts.count(c) == 1);
}

TEST_CASE("constraint: JSON texts are taken to their ends, others refused where they go wrong") {
  Constraint constraint = json_constraint();
  for (const char* text :
       {"0", "-0.5e+10", "1E5", "true", "null", "\"\"", "[]", "{}", "[1, 2,3 , [ ] ]",
        "{\"a\": {\"b\":[true,false,null]}}", "{\n  \"a\": [\n\t1\n  ]\n}",
        "\"\\u00e9\\ud83d\\ude00\\n\\/ \xC3\xA9 \xF0\x9F\x98\x80\"", "\"\x7F\""}) {
    INFO(text);
    REQUIRE(Json::accept(text));
    CHECK(accepts(constraint, text));
  }
  for (const auto& [text, at] :
       std::vector<std::pair<std::string, std::size_t>>{{"01", 1},
                                                        {"+1", 0},
                                                        {".5", 0},
                                                        {"1.e", 2},
                                                        {"-a", 1},
                                                        {"[1,]", 3},
                                                        {"{\"a\" 1}", 5},
                                                        {"{a", 1},
                                                        {"\"\n\"", 1},
                                                        {"\"\xC3\"", 2},
                                                        {"\"\xED\xA0\x80\"", 2},
                                                        {"\"\xC0\x80\"", 1},
                                                        {"\"\xF4\x90\x80\x80\"", 2},
                                                        {"\"\\x", 2},
                                                        {"\"\\ud800\"", 7},
                                                        {"\"\\udc00\"", 4},
                                                        {"tru\"", 3},
                                                        {"[1}", 2},
                                                        {"{}x", 2},
                                                        {"\n\n1", 0},
                                                        {"[\n\n", 2}}) {
    INFO(text);
    CHECK(accepted(constraint, text) == at);
  }
  CHECK(accepted(constraint, "[1") == 2);  // no end here
  CHECK(accepted(constraint, "{\"a\":") == 5);
}

TEST_CASE("constraint: nesting is not limited") {
  Constraint constraint = json_constraint();
  const std::string deep(5000, '[');
  CHECK(accepts(constraint, deep + std::string(5000, ']')));
  CHECK(accepted(constraint, deep + std::string(5000, ']') + "]") == 10000);
}

TEST_CASE("constraint: random texts of schemas are valid") {
  Random random(2);
  for (const char* source : schemas) {
    INFO(source);
    const Json root = schema(source);
    const Validator validator(root);
    Constraint constraint = schema_constraint(root);
    std::set<std::string> seen;
    for (int i = 0; i < 400; ++i) {
      const std::string text = walk(constraint, random, 30);
      INFO(text);
      REQUIRE(Json::accept(text));
      REQUIRE(validator.valid(Json::parse(text)));
      seen.insert(text);
    }
    CHECK(seen.size() > 1);
  }
}

TEST_CASE("constraint: integers between bounds are exactly those between them") {
  for (const auto& [low, high] : std::vector<std::pair<int, int>>{
           {0, 0}, {0, 9}, {7, 13}, {-5, 5}, {-1203, -98}, {99, 1001}, {-1, 0}, {10, 10}, {3, 2}}) {
    INFO(low << " to " << high);
    const Json root = {{"type", "integer"}, {"minimum", low}, {"maximum", high}};
    if (low > high) {
      CHECK_THROWS_AS(schema_constraint(root), Error);
      continue;
    }
    Constraint constraint = schema_constraint(root);
    for (int x = -2500; x <= 2500; ++x)
      REQUIRE(accepts(constraint, std::to_string(x)) == (low <= x && x <= high));
    CHECK(!accepts(constraint, "-0"));
    CHECK(!accepts(constraint, "007"));
  }
  Constraint all = schema_constraint({{"type", "integer"}});
  CHECK(accepts(all, "9223372036854775807"));
  CHECK(!accepts(all, "9223372036854775808"));
  CHECK(accepts(all, "-9223372036854775808"));
  CHECK(!accepts(all, "-9223372036854775809"));
}

TEST_CASE("constraint: numbers between bounds are exactly those between them") {
  for (const char* source :
       {R"({"type": "number", "minimum": 0, "maximum": 1})",
        R"({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1})",
        R"({"type": "number", "exclusiveMinimum": -2, "maximum": 11})",
        R"({"type": "number", "minimum": -12, "exclusiveMaximum": -10})",
        R"({"type": "number", "exclusiveMinimum": 9})", R"({"type": "number", "maximum": 3})"}) {
    INFO(source);
    const Json root = schema(source);
    const Validator validator(root);
    Constraint constraint = schema_constraint(root);
    for (int x = -1500; x <= 1500; ++x) {
      std::string text =
          cat(x < 0 ? "-" : "", std::abs(x) / 100, ".", std::abs(x) / 10 % 10, std::abs(x) % 10);
      if (x % 10 == 0) text.pop_back();
      INFO(text);
      REQUIRE(accepts(constraint, text) == validator.valid(Json::parse(text)));
      if (x % 100 == 0) {
        text.resize(text.size() - 2);
        REQUIRE(accepts(constraint, text) == validator.valid(Json::parse(text)));
      }
    }
  }
}

TEST_CASE("constraint: objects have their members in order, the optional ones where they like") {
  Constraint c = schema_constraint(schema(
      R"({"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}},
          "required": ["b"], "additionalProperties": {"type": "integer"}})"));
  for (const char* text : {R"({"b":null})", R"({"a": null, "b": null})", R"({"b":null,"c":null})",
                           R"({"a":null,"b":null,"c":null,"d":1,"aa": 2,"":3})"})
    CHECK(accepts(c, text));
  for (const auto& [text, at] :
       std::vector<std::pair<std::string, std::size_t>>{{"{}", 1},
                                                        {R"({"a":null})", 9},
                                                        {R"({"c":null})", 2},
                                                        {R"({"b":null,"a":1})", 12},
                                                        {R"({"b":null,"b)", 12},
                                                        {R"({"b":null,})", 10},
                                                        {R"({"b":null,"d":null})", 14},
                                                        {R"({"b":null, "d":1,"\u0061")", 22},
                                                        {R"({"b" :)", 4},
                                                        {R"({"b":  )", 6}}) {
    INFO(text);
    CHECK(accepted(c, text) == at);
  }
  Constraint closed =
      schema_constraint(schema(R"({"type": "object", "properties": {"a": {"type": "null"}}})"));
  CHECK(accepts(closed, "{}"));
  CHECK(accepted(closed, R"({"b)") == 2);
}

TEST_CASE("constraint: strings of a pattern spell characters in one way") {
  Constraint c = schema_constraint(schema(R"({"type": "string", "pattern": "^[\\s\\S]{2}$"})"));
  for (const char* text :
       {R"("ab")", "\"\xC3\xA9\xF0\x9F\x98\x80\"", R"("\"\\")", R"("\n\u001F")", R"("\u0000/")"})
    CHECK(accepts(c, text));
  for (const char* text : {R"("a")", R"("abc")", R"("a\u0061")", "\"a\n\"", R"("a\/")"})
    CHECK(!accepts(c, text));
  Constraint length =
      schema_constraint(schema(R"({"type": "string", "minLength": 1, "maxLength": 2})"));
  CHECK(accepts(length, R"("\u0061\ud83d\ude00")"));
  CHECK(!accepts(length, R"("")"));
  CHECK(!accepts(length, R"("abc")"));
}

TEST_CASE("constraint: schemas that cannot be met or said are errors that name the place") {
  using Catch::Contains;
  CHECK_THAT(schema_error(R"({"properties": {"a": {"type": "string", "not": {}}}})"),
             Contains("#/properties/a: the keyword \"not\" is not supported"));
  CHECK_THAT(schema_error(R"({"type": "strin"})"), Contains("#/type: not a type"));
  CHECK_THAT(schema_error(R"({"type": "integer", "multipleOf": 2})"), Contains("\"multipleOf\""));
  CHECK_THAT(schema_error(R"({"type": "integer", "anyOf": [true]})"),
             Contains("\"type\" beside \"anyOf\""));
  CHECK_THAT(schema_error(R"({"$ref": "#/$defs/x"})"), Contains("#/$ref: there is no #/$defs/x"));
  CHECK_THAT(schema_error(R"({"$ref": "other.json"})"), Contains("within the schema"));
  CHECK_THAT(schema_error(R"({"$ref": "#/%zz"})"), Contains("not a URI"));
  CHECK_THAT(schema_error(R"({"items": {"pattern": "a("}})"),
             Contains("#/items/pattern: position 2: this ( is not closed"));
  CHECK_THAT(schema_error(R"({"type": "array", "minItems": -1})"),
             Contains("#/minItems: not a count"));
  CHECK_THAT(schema_error(R"({"type": "number", "minimum": 0.5})"), Contains("#/minimum"));
  CHECK_THAT(schema_error(R"({"type": "array", "uniqueItems": true})"), Contains("uniqueItems"));
  CHECK_THAT(schema_error(R"([1])"), Contains("#: not a schema"));
  CHECK_THAT(schema_error(R"({"type": "array", "minItems": 1000000})"), Contains("too large"));
  CHECK_THAT(schema_error("false"), Contains("no text"));
  CHECK_THAT(schema_error(R"({"$ref": "#"})"), Contains("no text"));
  CHECK_THAT(schema_error(R"({"type": "array", "items": {"$ref": "#"}, "minItems": 1})"),
             Contains("no text"));
  CHECK_THAT(
      schema_error(R"({"type": "object", "required": ["a"], "additionalProperties": false})"),
      Contains("no text"));
  CHECK_THAT(schema_error(R"({"enum": [1, 2], "type": "string"})"), Contains("no text"));
  CHECK(
      schema_error(
          R"({"title": "t", "format": "date", "x-note": 1, "uniqueItems": false, "$defs": {"unused": {"not": 1}}})") ==
      "");
  CHECK(schema_error(R"({"allOf": [{"$ref": "#/$defs/a%20b"}], "$defs": {"a b": true}})") == "");
}

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
