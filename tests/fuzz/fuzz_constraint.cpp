// SPDX-License-Identifier: MIT
// Any pattern, schema or list of choices is refused, or made a constraint without a dead end whose bytes can be taken
// back.
#include "blt/base/error.h"
#include "blt/generate/constraint.h"
#include "target.h"

namespace {

using blt::generate::Allowed;
using blt::generate::Constraint;

Constraint constraint(char kind, std::string_view text) {
  if (kind == 'r') return blt::generate::regex_constraint(text);
  if (kind == 'c') return blt::generate::choices_constraint(text, false);
  const auto schema = blt::Json::parse(text, nullptr, false);
  if (schema.is_discarded()) throw blt::input_error("not JSON");
  return blt::generate::schema_constraint(schema);
}

void walk(Constraint& constraint, unsigned random) {
  const Allowed first = constraint.allowed();
  std::int64_t steps = 0;
  for (; steps < 64; ++steps) {
    const Allowed& allowed = constraint.allowed();
    blt::fuzz::require(allowed.end || allowed.any_byte());
    if (!allowed.any_byte()) break;
    random = random * 1664525 + 1013904223;
    auto byte = static_cast<std::uint8_t>(random >> 24);
    while (!allowed.has(byte)) ++byte;
    constraint.advance(byte);
  }
  constraint.rollback(steps);
  blt::fuzz::require(constraint.allowed().bytes == first.bytes && constraint.allowed().end == first.end);
}

}  // namespace

std::vector<std::string> blt::fuzz::seeds() {
  return {
      R"(r(a|b)*[^x-z\d]{2,4}?\u00e9(?:\.|\x41)?$)",
      R"(r^\w+@\w+\.(com|org)|"[^"\\]*"$)",
      R"(cyes|no\|maybe|perhaps)",
      R"(s{"type": "object", "properties": {"a": {"type": ["string", "null"], "pattern": "^a+$", "maxLength": 3}}, "required": ["a"]})",
      R"(s{"anyOf": [{"type": "array", "items": {"$ref": "#"}, "maxItems": 2}, {"enum": [1, "x", null]}, {"$ref": "#/$defs/n"}],
          "$defs": {"n": {"type": "integer", "minimum": -5, "exclusiveMaximum": 300}}})",
      R"(s{"type": "number", "minimum": 0, "maximum": 1e1})",
      R"(s{"prefixItems": [{"const": {"k": [true]}}], "items": false, "minItems": 1, "additionalProperties": {"minLength": 2}})",
  };
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 4096) return 0;
  const auto text = blt::fuzz::view(data, size);
  try {
    Constraint made = constraint(text[0], text.substr(1));
    walk(made, static_cast<unsigned>(size));
    walk(made, text.back());
  } catch (const blt::Error& error) {
    blt::fuzz::require(error.kind() == blt::ErrorKind::usage || error.kind() == blt::ErrorKind::input);
  }
  return 0;
}
