// SPDX-License-Identifier: MIT
// Runs a grammar deterministically: its states are made when they are first met.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "blt/generate/constraint.h"
#include "grammar.h"

namespace blt::generate {

// A state is the set of places in the grammar that the text so far can lead to, each with what
// called it. Callers form a graph, not a list: all that call a rule after the same byte share one
// Callers node, so that neither nesting nor ambiguity multiplies them (a graph-structured stack,
// Tomita 1985). Nodes and states are unique, which makes the work of a state, its mask and its
// steps, a table that fills once.
class Automaton {
 public:
  using State = std::uint32_t;

  // Errors: usage, when no text is in the grammar.
  explicit Automaton(Grammar grammar);

  static constexpr State start = 0;
  const Allowed& allowed(State state) const { return states_[state].allowed; }
  // The state after an allowed byte.
  State next(State state, std::uint8_t byte);
  // Whether it is time to keep() what is still wanted.
  bool full() const;
  // Forgets all other states; these get new names. The last ones are kept as long as there is room,
  // `least` of them in any case: earlier ones leave the front of the list.
  void keep(std::vector<State>& states, std::size_t least);

 private:
  using Callers = std::uint32_t;
  // A place of the grammar and what called its rule, or (in a node) where a call returns to.
  using Place = std::uint64_t;
  using Places = std::vector<Place>;  // sorted
  struct Entry {
    Places places;  // that read bytes
    Allowed allowed;
  };
  struct Hash {
    std::size_t operator()(const Places& places) const;
  };
  // What calling a rule comes to: the rules that it calls in its first step, itself included, and
  // its places that read a byte.
  struct Opening {
    std::vector<Rule> rules;
    std::vector<GrammarState> places;
  };

  static Place place(GrammarState state, Callers callers) {
    return static_cast<Place>(state) << 32 | callers;
  }
  void restart();
  State close(Places work);
  void call(Rule rule, GrammarState to, Callers callers);
  void open_calls(Places& reading);
  const Opening& opening(Rule rule);
  const Opening& explore(Rule rule, Opening& out);
  Callers callers(Places returns);
  State intern(Places reading, bool end);
  void charge(std::size_t places);

  Grammar grammar_;
  std::vector<bool> final_;
  std::map<Rule, Opening> openings_;
  std::deque<Entry> states_;
  std::unordered_map<Places, State, Hash> state_ids_;  // the last element: whether the text may end
  std::vector<Places> callers_;
  std::unordered_map<Places, Callers, Hash> callers_ids_;
  std::unordered_map<std::uint64_t, State> steps_;  // state * 256 + byte -> state
  std::size_t held_ = 0, limit_ = 0;                // places in memory

  // Of close():
  std::unordered_set<Place> seen_;
  std::map<Rule, Places> calls_;
};

}  // namespace blt::generate
