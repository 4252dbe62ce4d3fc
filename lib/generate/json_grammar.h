// SPDX-License-Identifier: MIT
// The rules of JSON text (RFC 8259).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "blt/base/json.h"
#include "characters.h"
#include "grammar.h"

namespace blt::generate {

// What may stand between tokens, bounded so that no text is blank for ever.
enum class Spacing {
  single,  // one space after : and ,
  pretty   // anywhere a newline and up to 32 spaces or tabs
};

struct IntegerRange {
  std::int64_t least = std::numeric_limits<std::int64_t>::min();
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};

// Numbers from `least` to `most`; `above`, `below`: without the bound itself.
struct NumberRange {
  std::optional<std::int64_t> least, most;
  bool above = false, below = false;
};

// Rules are made when they are first asked for. Writers put all spellings of something between two
// states.
class JsonGrammar {
 public:
  JsonGrammar(Grammar& grammar, Spacing spacing) : grammar_(grammar), spacing_(spacing) {}

  Rule value();
  Rule object();
  Rule array();
  Rule string();
  Rule character();  // of a string, in every spelling
  Rule number();     // at most 100 digits before and after the point, two in the exponent

  void write_colon(GrammarState from, GrammarState to);
  void write_comma(GrammarState from, GrammarState to);
  void write_integer(GrammarState from, const IntegerRange& range, GrammarState to);
  // Without exponents.
  void write_number(GrammarState from, const NumberRange& range, GrammarState to);
  // This value, strings in their shortest spelling, members in their order.
  void write_constant(GrammarState from, const Json& value, GrammarState to);

 private:
  void write_gap(GrammarState from, GrammarState to);
  void write_separator(GrammarState from, char separator, GrammarState to);
  void write_list(Rule rule, const char* brackets, GrammarState first, GrammarState last);
  void write_digits(GrammarState from, int most, GrammarState to, char highest = '9');
  void write_magnitudes(GrammarState from, std::uint64_t least, std::uint64_t most,
                        GrammarState to);
  struct Magnitudes {
    std::uint64_t least, most;
    bool above, below;  // without least, without most
  };
  void write_decimals(GrammarState from, const Magnitudes& range, GrammarState to);

  Grammar& grammar_;
  Spacing spacing_;
  std::optional<Rule> value_, object_, array_, string_, character_, number_;
};

}  // namespace blt::generate
