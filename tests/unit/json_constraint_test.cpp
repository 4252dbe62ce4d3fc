// SPDX-License-Identifier: MIT
// Constraints of JSON and of schemas.
#include <set>

#include "constraint_cases.h"

using namespace constraint_cases;

namespace {

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

std::string schema_error(const char* text) {
  try {
    schema_constraint(schema(text));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

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
