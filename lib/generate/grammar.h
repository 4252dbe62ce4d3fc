// SPDX-License-Identifier: MIT
// Sets of byte strings: automata that call each other.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace blt::generate {

using GrammarState = std::uint32_t;
using Rule = std::uint32_t;

// Rule 0 is the whole text. A rule is a nondeterministic automaton from its start to its final
// state, which has no edges. A called rule matches at least one byte, and a call that is its rule's
// first step leads to the final state: so whoever runs the grammar meets neither left recursion nor
// empty calls.
class Grammar {
 public:
  enum class Kind : std::uint8_t { bytes, empty, call };
  struct Edge {
    Kind kind;
    std::uint8_t low, high;  // of Kind::bytes
    Rule rule;               // of Kind::call
    GrammarState to;
  };
  struct Ends {
    GrammarState start, final;
  };

  // Errors (both): usage, when there are too many.
  GrammarState state();
  Rule rule();

  void bytes(GrammarState from, std::uint8_t low, std::uint8_t high, GrammarState to) {
    add(from, {Kind::bytes, low, high, 0, to});
  }
  void byte(GrammarState from, char byte, GrammarState to) {
    const auto b = static_cast<std::uint8_t>(byte);
    bytes(from, b, b, to);
  }
  void any_of(GrammarState from, std::string_view bytes, GrammarState to) {
    for (const char b : bytes) byte(from, b, to);
  }
  void text(GrammarState from, std::string_view text, GrammarState to);
  void empty(GrammarState from, GrammarState to) { add(from, {Kind::empty, 0, 0, 0, to}); }
  void call(GrammarState from, Rule rule, GrammarState to) {
    add(from, {Kind::call, 0, 0, rule, to});
  }

  // Drops every edge from which no text can be completed. False: there is no text at all.
  bool prune();

  const Ends& ends(Rule rule) const { return rules_[rule]; }
  const std::vector<Edge>& edges(GrammarState state) const { return edges_[state]; }
  std::size_t states() const { return edges_.size(); }
  std::size_t rules() const { return rules_.size(); }

 private:
  void add(GrammarState from, Edge edge);

  std::vector<std::vector<Edge>> edges_;  // by state
  std::vector<Ends> rules_;
  std::size_t count_ = 0;  // edges
};

// Strings of equal length between two others, byte by byte, as edges: low and high may differ in
// their first byte, all later bytes lie in [tail_low, tail_high]. This is how ranges of code points
// become UTF-8 and ranges of numbers digits.
class StringRange {
 public:
  StringRange(Grammar& grammar, std::uint8_t tail_low, std::uint8_t tail_high, GrammarState to)
      : grammar_(grammar), low_(tail_low), high_(tail_high), tails_{to} {}
  // Precondition: low <= high, of one length, not empty.
  void add(GrammarState from, std::string_view low, std::string_view high);

 private:
  GrammarState tail(std::size_t length);

  Grammar& grammar_;
  std::uint8_t low_, high_;
  std::vector<GrammarState> tails_;  // by length: a state from which any tail so long leads to `to`
};

}  // namespace blt::generate
