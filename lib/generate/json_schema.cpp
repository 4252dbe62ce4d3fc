// SPDX-License-Identifier: MIT
#include "json_schema.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "blt/base/error.h"
#include "blt/text/utf8.h"
#include "json_grammar.h"
#include "regex.h"

namespace blt::generate {
namespace {

using Names = std::set<std::string_view>;

// They say nothing about what is valid.
const Names annotations = {"$schema",       "$id",         "$anchor",         "$comment",
                           "$defs",         "definitions", "title",           "default",
                           "description",   "examples",    "example",         "deprecated",
                           "readOnly",      "writeOnly",   "contentEncoding", "contentMediaType",
                           "contentSchema", "format",      "$vocabulary"};
// One of these says all; only annotations may stand beside it.
const Names whole = {"$ref", "anyOf", "oneOf", "allOf"};
const Names constants = {"enum", "const"};
const Names string_keywords = {"minLength", "maxLength", "pattern"};
const Names number_keywords = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
const Names array_keywords = {"items", "prefixItems", "minItems", "maxItems"};
const Names object_keywords = {"properties", "required", "additionalProperties"};
const std::vector<std::string> all_types = {"null",   "boolean", "number",
                                            "string", "array",   "object"};
// Without effect at this value.
const std::map<std::string_view, Json> neutral = {
    {"uniqueItems", false}, {"minProperties", 0}, {"nullable", false}};

bool has_any(const Json& schema, const Names& names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const auto& name) { return schema.contains(name); });
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "string") return value.is_string();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  if (type == "number") return value.is_number();
  return value.is_number_integer() ||
         (value.is_number() && std::floor(value.get<double>()) == value.get<double>());
}

// One schema with its place, to name it in errors.
struct Schema {
  const Json& json;
  std::string path;

  [[noreturn]] void fail(const std::string& what) const {
    throw input_error(cat(path, ": ", what));
  }
  bool has(const char* name) const { return json.contains(name); }
  Schema at(const std::string& name) const { return {json.at(name), path + "/" + name}; }
  Schema at(std::size_t i) const { return {json.at(i), cat(path, "/", i)}; }
  void expect(bool holds, const char* what) const {
    if (!holds) fail(cat("not ", what));
  }
};

class Compiler {
 public:
  explicit Compiler(const Json& root) : root_(root) {}

  Grammar compile() {
    rule({root_, "#"});
    while (!pending_.empty()) {
      const auto [schema, id] = pending_.front();
      pending_.pop_front();
      const auto [from, to] = grammar_.ends(id);
      write_schema(schema, from, to);
    }
    return std::move(grammar_);
  }

 private:
  // A place's rule; its edges are written later, so that a schema may contain itself.
  Rule rule(const Schema& schema) {
    const auto [entry, fresh] = rules_.try_emplace(&schema.json);
    if (fresh) {
      entry->second = grammar_.rule();
      pending_.push_back({schema, entry->second});
    }
    return entry->second;
  }

  void write_schema(const Schema& schema, GrammarState from, GrammarState to) {
    if (schema.json.is_boolean()) {
      if (schema.json.get<bool>()) grammar_.call(from, json_.value(), to);
      return;
    }
    schema.expect(schema.json.is_object(), "a schema: an object, true or false");
    check_keywords(schema);
    if (has_any(schema.json, whole)) return write_whole(schema, from, to);
    if (has_any(schema.json, constants)) return write_constants(schema, from, to);
    for (const auto& type : types(schema)) write_type(schema, type, from, to);
  }

  static void check_keywords(const Schema& schema) {
    std::string only;  // the keyword that allows no other
    for (const Names* names : {&whole, &constants}) {
      for (const auto& name : *names)
        if (only.empty() && schema.json.contains(name)) only = name;
    }
    for (const auto& [key, value] : schema.json.items()) {
      if (annotations.count(key) || key.rfind("x-", 0) == 0) continue;
      if (const auto it = neutral.find(key); it != neutral.end() && it->second == value) continue;
      const bool known = key == "type" || whole.count(key) || constants.count(key) ||
                         string_keywords.count(key) || number_keywords.count(key) ||
                         array_keywords.count(key) || object_keywords.count(key);
      if (!known) schema.fail(cat("the keyword \"", key, "\" is not supported"));
      const bool beside = only.empty() || key == only ||
                          (constants.count(only) && (constants.count(key) || key == "type"));
      if (!beside) schema.fail(cat("\"", key, "\" beside \"", only, "\" is not supported"));
    }
  }

  void write_whole(const Schema& schema, GrammarState from, GrammarState to) {
    if (schema.has("$ref")) return grammar_.call(from, rule(reference(schema.at("$ref"))), to);
    const char* name = schema.has("anyOf") ? "anyOf" : schema.has("oneOf") ? "oneOf" : "allOf";
    const Schema list = schema.at(name);
    list.expect(list.json.is_array() && !list.json.empty(), "a list of schemas");
    if (name == std::string_view("allOf") && list.json.size() > 1)
      list.fail("more than one schema is not supported");
    for (std::size_t i = 0; i < list.json.size(); ++i) grammar_.call(from, rule(list.at(i)), to);
  }

  // "#" or "#/a/b": a JSON pointer (RFC 6901) as the fragment of a URI.
  Schema reference(const Schema& ref) const {
    ref.expect(ref.json.is_string(), "a string");
    const auto& uri = ref.json.get_ref<const std::string&>();
    if (uri.empty() || uri[0] != '#') ref.fail("only references within the schema are supported");
    std::string pointer;
    for (std::size_t i = 1; i < uri.size(); ++i) {
      pointer += uri[i];
      if (uri[i] != '%') continue;
      const std::string digits = uri.substr(i + 1, 2);
      if (digits.size() < 2 ||
          digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
        ref.fail("not a URI: % stands before two hexadecimal digits");
      pointer.back() = static_cast<char>(std::stoi(digits, nullptr, 16));
      i += 2;
    }
    try {
      return {root_.at(Json::json_pointer(pointer)), "#" + pointer};
    } catch (const Json::exception&) {
      ref.fail(cat("there is no ", uri));
    }
  }

  static std::vector<std::string> types(const Schema& schema) {
    if (!schema.has("type")) return all_types;
    const Schema type = schema.at("type");
    std::vector<std::string> out;
    const auto take = [&](const Json& name) {
      const bool known = name.is_string() &&
                         (name == "integer" ||
                          std::find(all_types.begin(), all_types.end(), name) != all_types.end());
      type.expect(known, "a type");
      out.push_back(name);
    };
    if (!type.json.is_array()) {
      take(type.json);
    } else {
      for (const auto& name : type.json) take(name);
    }
    return out;
  }

  void write_constants(const Schema& schema, GrammarState from, GrammarState to) {
    std::vector<Json> values;
    if (schema.has("enum")) {
      const Schema list = schema.at("enum");
      list.expect(list.json.is_array(), "a list");
      values.assign(list.json.begin(), list.json.end());
    } else {
      values = {schema.json["const"]};
    }
    if (schema.has("const"))
      std::erase_if(values, [&](const Json& value) { return value != schema.json["const"]; });
    if (schema.has("type")) {
      const auto allowed = types(schema);
      std::erase_if(values, [&](const Json& value) {
        return std::none_of(allowed.begin(), allowed.end(),
                            [&](const auto& type) { return has_type(value, type); });
      });
    }
    for (const Json& value : values) json_.write_constant(from, value, to);
  }

  void write_type(const Schema& schema, const std::string& type, GrammarState from,
                  GrammarState to) {
    if (type == "null") return grammar_.text(from, "null", to);
    if (type == "boolean") {
      grammar_.text(from, "true", to);
      return grammar_.text(from, "false", to);
    }
    if (type == "integer") return write_integer(schema, from, to);
    if (type == "number") return write_number(schema, from, to);
    if (type == "string") return write_string(schema, from, to);
    if (type == "array") return write_array(schema, from, to);
    write_object(schema, from, to);
  }

  static std::uint64_t count(const Schema& value) {
    value.expect(value.json.is_number_integer() && value.json >= 0, "a count");
    return value.json.get<std::uint64_t>();
  }
  static Length length(const Schema& schema, const char* least, const char* most) {
    Length out;
    if (schema.has(least)) out.least = count(schema.at(least));
    if (schema.has(most)) out.most = count(schema.at(most));
    return out;
  }

  void write_string(const Schema& schema, GrammarState from, GrammarState to) {
    if (!has_any(schema.json, string_keywords)) return grammar_.call(from, json_.string(), to);
    const Length length = Compiler::length(schema, "minLength", "maxLength");
    GrammarState at = grammar_.state();
    const GrammarState close = grammar_.state();
    grammar_.byte(from, '"', at);
    grammar_.byte(close, '"', to);
    if (schema.has("pattern")) {
      const Schema pattern = schema.at("pattern");
      pattern.expect(pattern.json.is_string(), "a string");
      return write_automaton(grammar_, at, parse_pattern(pattern), Spelling::json_string, length,
                             close);
    }
    if (length.most && *length.most < length.least) return;
    for (std::uint64_t i = 0;; ++i) {
      if (i >= length.least) grammar_.empty(at, close);
      if (length.most && i == *length.most) return;
      const bool loop = !length.most && i == length.least;
      const GrammarState next = loop ? at : grammar_.state();
      grammar_.call(at, json_.character(), next);
      if (loop) return;
      at = next;
    }
  }

  static CharacterAutomaton parse_pattern(const Schema& pattern) {
    try {
      return parse_regex(pattern.json.get_ref<const std::string&>(), Match::anywhere);
    } catch (const Error& error) {
      pattern.fail(error.what());
    }
  }

  // The first integer on the right side of a bound.
  static std::int64_t integer_bound(const Schema& bound, bool lower, bool exclusive) {
    using Limits = std::numeric_limits<std::int64_t>;
    const Json& x = bound.json;
    bound.expect(x.is_number(), "a number");
    const std::int64_t inward = lower ? 1 : -1;
    if (x.is_number_integer()) {
      const bool high = x.is_number_unsigned() && x.get<std::uint64_t>() > Limits::max();
      if (high && !lower) return Limits::max();
      const auto n = high ? Limits::max() : x.get<std::int64_t>();
      if (high || (exclusive && n == (lower ? Limits::max() : Limits::min())))
        bound.fail("no integer of 64 bits meets this");
      return exclusive ? n + inward : n;
    }
    const auto exact = x.get<double>(), rounded = lower ? std::ceil(exact) : std::floor(exact);
    constexpr double most = 9007199254740992.0;  // doubles hold all integers up to here
    if (std::abs(rounded) > most) bound.fail("not exact: write it as an integer");
    return static_cast<std::int64_t>(rounded) + (exclusive && rounded == exact ? inward : 0);
  }

  void write_integer(const Schema& schema, GrammarState from, GrammarState to) {
    IntegerRange range;
    const auto take = [&](const char* name, bool lower, bool exclusive) {
      if (!schema.has(name)) return;
      const std::int64_t n = integer_bound(schema.at(name), lower, exclusive);
      if (lower)
        range.least = std::max(range.least, n);
      else
        range.most = std::min(range.most, n);
    };
    take("minimum", true, false);
    take("exclusiveMinimum", true, true);
    take("maximum", false, false);
    take("exclusiveMaximum", false, true);
    json_.write_integer(from, range, to);
  }

  void write_number(const Schema& schema, GrammarState from, GrammarState to) {
    if (!has_any(schema.json, number_keywords)) return grammar_.call(from, json_.number(), to);
    const auto whole_bound = [&](const char* name, bool lower) -> std::optional<std::int64_t> {
      if (!schema.has(name)) return std::nullopt;
      const Schema bound = schema.at(name);
      const std::int64_t n = integer_bound(bound, lower, false);
      if (bound.json != n) bound.fail("a bound of numbers that is no integer is not supported");
      return n;
    };
    NumberRange range = {whole_bound("minimum", true), whole_bound("maximum", false)};
    if (const auto n = whole_bound("exclusiveMinimum", true);
        n && (!range.least || *n >= *range.least)) {
      range.least = n;
      range.above = true;
    }
    if (const auto n = whole_bound("exclusiveMaximum", false);
        n && (!range.most || *n <= *range.most)) {
      range.most = n;
      range.below = true;
    }
    json_.write_number(from, range, to);
  }

  // A schema that another one's keyword holds; where it is missing anything goes.
  Rule part(const Schema& schema, const char* name) {
    return schema.has(name) ? rule(schema.at(name)) : json_.value();
  }

  void write_array(const Schema& schema, GrammarState from, GrammarState to) {
    if (!has_any(schema.json, array_keywords)) return grammar_.call(from, json_.array(), to);
    std::vector<Rule> first;
    if (schema.has("prefixItems")) {
      const Schema list = schema.at("prefixItems");
      list.expect(list.json.is_array(), "a list of schemas");
      for (std::size_t i = 0; i < list.json.size(); ++i) first.push_back(rule(list.at(i)));
    }
    if (schema.has("items") && schema.json["items"].is_array())
      schema.at("items").fail("a list is not supported: call it prefixItems");
    const Rule rest = part(schema, "items");
    const Length length = Compiler::length(schema, "minItems", "maxItems");
    const std::uint64_t same = std::max<std::uint64_t>({length.least, first.size(), 1});
    GrammarState at = grammar_.state();
    grammar_.byte(from, '[', at);
    for (std::uint64_t i = 0;; ++i) {  // i items are written
      if (i >= length.least) grammar_.byte(at, ']', to);
      if (length.most && i >= *length.most) return;
      const bool loop = !length.most && i == same;
      GrammarState item = at;
      if (i > 0) json_.write_comma(at, item = grammar_.state());
      const GrammarState next = loop ? at : grammar_.state();
      grammar_.call(item, i < first.size() ? first[i] : rest, next);
      if (loop) return;
      at = next;
    }
  }

  struct Property {
    std::string name;
    Rule rule;
    bool required;
  };

  std::vector<Property> properties(const Schema& schema) {
    std::vector<Property> out;
    if (schema.has("properties")) {
      const Schema list = schema.at("properties");
      list.expect(list.json.is_object(), "an object of schemas");
      for (const auto& [name, unused] : list.json.items())
        out.push_back({name, rule(list.at(name)), false});
    }
    if (!schema.has("required")) return out;
    const Schema required = schema.at("required");
    required.expect(required.json.is_array(), "a list of names");
    for (const auto& name : required.json) {
      required.expect(name.is_string(), "a list of names");
      auto it = std::find_if(out.begin(), out.end(), [&](const auto& p) { return p.name == name; });
      if (it == out.end())
        it = out.insert(it, {name.get<std::string>(), part(schema, "additionalProperties"), false});
      it->required = true;
    }
    return out;
  }

  // Members in the order of the properties, then others where additionalProperties tells of them.
  void write_object(const Schema& schema, GrammarState from, GrammarState to) {
    if (!has_any(schema.json, object_keywords)) return grammar_.call(from, json_.object(), to);
    const auto list = properties(schema);
    GrammarState next = grammar_.state();   // a member must come, of the i-th or later
    GrammarState after = grammar_.state();  // a member was written before the i-th
    const GrammarState open = grammar_.state(), close = grammar_.state();
    grammar_.byte(from, '{', open);
    grammar_.empty(open, next);
    grammar_.byte(close, '}', to);
    const bool any_required =
        std::any_of(list.begin(), list.end(), [](const auto& p) { return p.required; });
    if (!any_required) grammar_.empty(open, close);
    for (const Property& property : list) {
      const GrammarState colon = grammar_.state(), value = grammar_.state(),
                         next_later = grammar_.state(), after_later = grammar_.state();
      grammar_.text(next, dump_json(property.name), colon);
      json_.write_colon(colon, value);
      grammar_.call(value, property.rule, after_later);
      json_.write_comma(after, next);
      if (!property.required) {
        grammar_.empty(next, next_later);
        grammar_.empty(after, after_later);
      }
      next = next_later;
      after = after_later;
    }
    grammar_.empty(after, close);
    const bool others = schema.has("additionalProperties") || !schema.has("properties");
    if (!others) return;
    const GrammarState colon = grammar_.state(), value = grammar_.state();
    write_other_key(next, list, colon);
    json_.write_colon(colon, value);
    grammar_.call(value, part(schema, "additionalProperties"), after);
    json_.write_comma(after, next);
  }

  // A key that is none of the properties'.
  void write_other_key(GrammarState from, const std::vector<Property>& properties,
                       GrammarState to) {
    if (properties.empty()) return grammar_.call(from, json_.string(), to);
    const CharacterSet any = complement({});
    CharacterAutomaton keys;  // a tree of the names, and what leaves it
    keys.start = keys.state();
    keys.final = keys.state();
    const auto free = keys.state();
    keys.read(free, any, free);
    keys.empty(free, keys.final);
    std::map<std::pair<CharacterAutomaton::State, char32_t>, CharacterAutomaton::State> children;
    std::set<CharacterAutomaton::State> names, nodes = {keys.start};
    for (const auto& property : properties) {
      auto node = keys.start;
      for (std::string_view rest = property.name; !rest.empty();) {
        const auto step = text::step_utf8(rest);
        rest.remove_prefix(step.size);
        const auto [child, fresh] = children.try_emplace({node, step.code});
        if (fresh) child->second = keys.state();
        nodes.insert(node = child->second);
      }
      names.insert(node);
    }
    std::map<CharacterAutomaton::State, std::vector<CharacterRange>> taken;
    for (const auto& [step, child] : children) {
      taken[step.first].push_back({step.second, step.second});
      keys.read(step.first, {{step.second, step.second}}, child);
    }
    for (const auto node : nodes) {
      keys.read(node, complement(make_set(taken[node])), free);
      if (!names.count(node)) keys.empty(node, keys.final);
    }
    const GrammarState open = grammar_.state(), close = grammar_.state();
    grammar_.byte(from, '"', open);
    grammar_.byte(close, '"', to);
    write_automaton(grammar_, open, keys, Spelling::json_string, {}, close);
  }

  const Json& root_;
  Grammar grammar_;
  JsonGrammar json_{grammar_, Spacing::single};
  std::map<const Json*, Rule> rules_;
  std::deque<std::pair<Schema, Rule>> pending_;
};

}  // namespace

Grammar schema_grammar(const Json& schema) {
  return Compiler(schema).compile();
}

}  // namespace blt::generate
