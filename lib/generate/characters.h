// SPDX-License-Identifier: MIT
// Sets of characters, and automata over characters that become bytes of a text or of a JSON string.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "grammar.h"

namespace blt::generate {

struct CharacterRange {
  char32_t low, high;
};

// Sorted, disjoint, and never a surrogate.
using CharacterSet = std::vector<CharacterRange>;

// Any ranges -> a set.
CharacterSet make_set(std::vector<CharacterRange> ranges);
CharacterSet complement(const CharacterSet& set);

// A nondeterministic automaton over characters.
struct CharacterAutomaton {
  using State = std::uint32_t;
  struct Read {
    CharacterSet set;
    State to;
  };
  struct Node {
    std::vector<State> empty;
    std::vector<Read> reads;
  };
  std::vector<Node> nodes;
  State start = 0, final = 0;

  // Errors: usage, when there are too many.
  State state();
  void empty(State from, State to) { nodes[from].empty.push_back(to); }
  void read(State from, CharacterSet set, State to) {
    nodes[from].reads.push_back({std::move(set), to});
  }
};

// How a character is written: as it is; or as in a JSON string, where " \ and control characters
// have their shortest escape and all others none.
enum class Spelling { plain, json_string };

struct Length {
  std::uint64_t least = 0;
  std::optional<std::uint64_t> most;
};

void write_set(Grammar& grammar, GrammarState from, const CharacterSet& set, Spelling spelling,
               GrammarState to);
// The texts of the automaton that have as many characters as `length` says.
void write_automaton(Grammar& grammar, GrammarState from, const CharacterAutomaton& automaton,
                     Spelling spelling, const Length& length, GrammarState to);

}  // namespace blt::generate
