// SPDX-License-Identifier: MIT
#include "json_grammar.h"

#include <algorithm>
#include <string>

namespace blt::generate {
namespace {

constexpr int most_digits = 100, most_blanks = 32;
constexpr std::uint64_t largest = 9'999'999'999'999'999'999u;  // of 19 digits
constexpr std::string_view hex_digits = "0123456789abcdefABCDEF";

std::uint64_t magnitude(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  return value < 0 ? 0 - bits : bits;
}

}  // namespace

void JsonGrammar::write_gap(GrammarState from, GrammarState to) {
  grammar_.empty(from, to);
  if (spacing_ == Spacing::single) return grammar_.byte(from, ' ', to);
  GrammarState blank = grammar_.state();
  grammar_.byte(from, '\n', blank);
  grammar_.empty(from, blank);
  for (int i = 0; i < most_blanks; ++i) {
    const GrammarState next = grammar_.state();
    grammar_.any_of(blank, " \t", next);
    grammar_.empty(blank, to);
    blank = next;
  }
  grammar_.empty(blank, to);
}

void JsonGrammar::write_separator(GrammarState from, char separator, GrammarState to) {
  const GrammarState after = grammar_.state();
  if (spacing_ == Spacing::pretty) {
    const GrammarState before = grammar_.state();
    write_gap(from, before);
    from = before;
  }
  grammar_.byte(from, separator, after);
  write_gap(after, to);
}

void JsonGrammar::write_colon(GrammarState from, GrammarState to) {
  write_separator(from, ':', to);
}

void JsonGrammar::write_comma(GrammarState from, GrammarState to) {
  write_separator(from, ',', to);
}

// rule: brackets around what leads from `first` to `last`, once or more with commas, or not at all.
void JsonGrammar::write_list(Rule rule, const char* brackets, GrammarState first,
                             GrammarState last) {
  const auto [start, final] = grammar_.ends(rule);
  const GrammarState open = grammar_.state(), close = grammar_.state();
  grammar_.byte(start, brackets[0], open);
  if (spacing_ == Spacing::pretty) {
    write_gap(open, first);
    write_gap(open, close);
    write_gap(last, close);
  } else {
    grammar_.empty(open, first);
    grammar_.empty(open, close);
    grammar_.empty(last, close);
  }
  grammar_.byte(close, brackets[1], final);
  write_comma(last, first);
}

Rule JsonGrammar::value() {
  if (value_) return *value_;
  value_ = grammar_.rule();
  const auto [start, final] = grammar_.ends(*value_);
  for (const char* word : {"true", "false", "null"}) grammar_.text(start, word, final);
  for (const Rule rule : {object(), array(), string(), number()}) grammar_.call(start, rule, final);
  return *value_;
}

Rule JsonGrammar::object() {
  if (object_) return *object_;
  object_ = grammar_.rule();
  const GrammarState first = grammar_.state(), key = grammar_.state(), colon = grammar_.state(),
                     last = grammar_.state();
  grammar_.call(first, string(), key);
  write_colon(key, colon);
  grammar_.call(colon, value(), last);
  write_list(*object_, "{}", first, last);
  return *object_;
}

Rule JsonGrammar::array() {
  if (array_) return *array_;
  array_ = grammar_.rule();
  const GrammarState first = grammar_.state(), last = grammar_.state();
  grammar_.call(first, value(), last);
  write_list(*array_, "[]", first, last);
  return *array_;
}

Rule JsonGrammar::string() {
  if (string_) return *string_;
  string_ = grammar_.rule();
  const auto [start, final] = grammar_.ends(*string_);
  const GrammarState inside = grammar_.state();
  grammar_.byte(start, '"', inside);
  grammar_.call(inside, character(), inside);
  grammar_.byte(inside, '"', final);
  return *string_;
}

// Escapes of surrogates come in pairs: a string is Unicode text.
Rule JsonGrammar::character() {
  if (character_) return *character_;
  character_ = grammar_.rule();
  const auto [start, final] = grammar_.ends(*character_);
  write_set(grammar_, start, complement(make_set({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}})),
            Spelling::plain, final);
  const GrammarState escape = grammar_.state(), u = grammar_.state(), d = grammar_.state();
  grammar_.byte(start, '\\', escape);
  grammar_.any_of(escape, "\"\\/bfnrt", final);
  grammar_.byte(escape, 'u', u);
  const auto hex = [&](GrammarState from) {
    const GrammarState to = grammar_.state();
    grammar_.any_of(from, hex_digits, to);
    return to;
  };
  const GrammarState three = grammar_.state(), two = hex(three), one = hex(two);
  grammar_.any_of(u, "0123456789abcefABCEF", three);
  grammar_.any_of(one, hex_digits, final);
  grammar_.any_of(u, "dD", d);
  grammar_.any_of(d, "01234567", two);
  const GrammarState high = grammar_.state(), next = grammar_.state(), low = grammar_.state();
  grammar_.any_of(d, "89abAB", high);
  grammar_.text(hex(hex(high)), "\\u", next);
  const GrammarState low_d = grammar_.state();
  grammar_.any_of(next, "dD", low_d);
  grammar_.any_of(low_d, "cdefCDEF", low);
  grammar_.any_of(hex(low), hex_digits, final);
  return *character_;
}

// Up to `most` digits, none included.
void JsonGrammar::write_digits(GrammarState from, int most, GrammarState to, char highest) {
  for (int i = 0; i < most; ++i) {
    const GrammarState next = grammar_.state();
    grammar_.empty(from, to);
    grammar_.bytes(from, '0', static_cast<std::uint8_t>(highest), next);
    from = next;
  }
  grammar_.empty(from, to);
}

Rule JsonGrammar::number() {
  if (number_) return *number_;
  number_ = grammar_.rule();
  const auto [start, final] = grammar_.ends(*number_);
  const GrammarState unsigned_number = grammar_.state(), more = grammar_.state(),
                     whole = grammar_.state(), point = grammar_.state(),
                     fraction = grammar_.state(), decimal = grammar_.state(), e = grammar_.state(),
                     sign = grammar_.state(), exponent = grammar_.state();
  grammar_.byte(start, '-', unsigned_number);
  for (const GrammarState from : {start, unsigned_number}) {
    grammar_.byte(from, '0', whole);
    grammar_.bytes(from, '1', '9', more);
  }
  write_digits(more, most_digits - 1, whole);
  grammar_.empty(whole, decimal);
  grammar_.byte(whole, '.', point);
  grammar_.bytes(point, '0', '9', fraction);
  write_digits(fraction, most_digits - 1, decimal);
  grammar_.empty(decimal, final);
  grammar_.any_of(decimal, "eE", e);
  grammar_.any_of(e, "+-", sign);
  grammar_.empty(e, sign);
  grammar_.bytes(sign, '0', '9', exponent);
  write_digits(exponent, 1, final);
  return *number_;
}

void JsonGrammar::write_magnitudes(GrammarState from, std::uint64_t least, std::uint64_t most,
                                   GrammarState to) {
  StringRange range(grammar_, '0', '9', to);
  std::uint64_t low = 0, high = 9;  // of one length
  for (;;) {
    if (least <= high && low <= most)
      range.add(from, std::to_string(std::max(least, low)), std::to_string(std::min(most, high)));
    if (most <= high || high == largest) return;
    low = high + 1;
    high = high * 10 + 9;
  }
}

void JsonGrammar::write_integer(GrammarState from, const IntegerRange& range, GrammarState to) {
  if (range.least > range.most) return;
  if (range.most >= 0)
    write_magnitudes(from, magnitude(std::max<std::int64_t>(range.least, 0)), magnitude(range.most),
                     to);
  if (range.least < 0) {
    const GrammarState digits = grammar_.state();
    grammar_.byte(from, '-', digits);
    write_magnitudes(digits, magnitude(std::min<std::int64_t>(range.most, -1)),
                     magnitude(range.least), to);
  }
}

// Decimals of one sign by their magnitude.
void JsonGrammar::write_decimals(GrammarState from, const Magnitudes& range, GrammarState to) {
  const auto [least, most, above, below] = range;
  if (least > most) return;
  const GrammarState any = grammar_.state(), positive = grammar_.state(), point = grammar_.state(),
                     zeros = grammar_.state(), zero_point = grammar_.state(),
                     digits = grammar_.state();
  grammar_.empty(any, to);
  grammar_.byte(any, '.', point);
  grammar_.bytes(point, '0', '9', digits);
  write_digits(digits, most_digits - 1, to);
  grammar_.byte(positive, '.', zero_point);
  write_digits(zero_point, most_digits - 1, zeros, '0');
  grammar_.bytes(zeros, '1', '9', digits);
  if (least < most) {
    if (above) write_magnitudes(from, least, least, positive);
    if (!above || least + 1 < most)
      write_magnitudes(from, above ? least + 1 : least, most - 1, any);
  }
  if (below || (above && least == most)) return;
  const GrammarState whole = grammar_.state();
  write_magnitudes(from, most, most, whole);
  grammar_.empty(whole, to);
  grammar_.text(whole, ".0", to);
}

void JsonGrammar::write_number(GrammarState from, const NumberRange& range, GrammarState to) {
  if (range.least && range.most && *range.least > *range.most) return;
  const bool low = range.least.has_value(), high = range.most.has_value();
  if (!high || *range.most >= 0) {
    const bool bounded = low && *range.least >= 0;
    write_decimals(from,
                   {bounded ? magnitude(*range.least) : 0, high ? magnitude(*range.most) : largest,
                    bounded && range.above, high && range.below},
                   to);
  }
  if (!low || *range.least < 0) {
    const GrammarState digits = grammar_.state();
    grammar_.byte(from, '-', digits);
    const bool bounded = high && *range.most < 0;
    write_decimals(digits,
                   {bounded ? magnitude(*range.most) : 0, low ? magnitude(*range.least) : largest,
                    bounded ? range.below : true, low && range.above},  // no -0
                   to);
  }
}

void JsonGrammar::write_constant(GrammarState from, const Json& value, GrammarState to) {
  if (!value.is_structured() || value.empty()) return grammar_.text(from, dump_json(value), to);
  const bool object = value.is_object();
  GrammarState at = grammar_.state();
  grammar_.byte(from, object ? '{' : '[', at);
  bool first = true;
  for (const auto& [key, member] : value.items()) {
    if (!first) {
      const GrammarState next = grammar_.state();
      write_comma(at, next);
      at = next;
    }
    first = false;
    if (object) {
      const GrammarState colon = grammar_.state(), next = grammar_.state();
      grammar_.text(at, dump_json(key), colon);
      write_colon(colon, next);
      at = next;
    }
    const GrammarState next = grammar_.state();
    write_constant(at, member, next);
    at = next;
  }
  grammar_.byte(at, object ? '}' : ']', to);
}

}  // namespace blt::generate
