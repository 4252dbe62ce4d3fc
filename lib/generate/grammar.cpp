// SPDX-License-Identifier: MIT
#include "grammar.h"

#include <algorithm>
#include <string>

#include "blt/base/error.h"

namespace blt::generate {
namespace {

constexpr std::size_t most_states = 400'000, most_edges = 4'000'000;

// What is known to be completable, spreading backwards from the final states.
class Liveness {
 public:
  explicit Liveness(const Grammar& grammar)
      : before_(grammar.states()),
        starts_(grammar.states()),
        waiting_(grammar.rules()),
        state_(grammar.states()) {
    for (GrammarState s = 0; s < grammar.states(); ++s) {
      for (const auto& edge : grammar.edges(s)) before_[edge.to].push_back({s, &edge});
    }
    for (Rule r = 0; r < grammar.rules(); ++r) starts_[grammar.ends(r).start].push_back(r);
    rule_.resize(grammar.rules());
    for (Rule r = 0; r < grammar.rules(); ++r) mark(grammar.ends(r).final);
    while (!work_.empty()) spread();
  }

  bool rule(Rule r) const { return rule_[r]; }
  bool edge(const Grammar::Edge& e) const {
    return state_[e.to] && (e.kind != Grammar::Kind::call || rule_[e.rule]);
  }

 private:
  void mark(GrammarState state) {
    if (state_[state]) return;
    state_[state] = true;
    work_.push_back(state);
  }
  void spread() {
    const GrammarState state = work_.back();
    work_.pop_back();
    for (const auto& [from, edge] : before_[state]) {
      if (edge->kind == Grammar::Kind::call && !rule_[edge->rule])
        waiting_[edge->rule].push_back(from);
      else
        mark(from);
    }
    for (const Rule r : starts_[state]) {
      rule_[r] = true;
      for (const GrammarState from : waiting_[r]) mark(from);
    }
  }

  std::vector<std::vector<std::pair<GrammarState, const Grammar::Edge*>>> before_;
  std::vector<std::vector<Rule>> starts_;           // rules that begin in a state
  std::vector<std::vector<GrammarState>> waiting_;  // for a rule to become live
  std::vector<bool> state_, rule_;
  std::vector<GrammarState> work_;
};

}  // namespace

GrammarState Grammar::state() {
  if (edges_.size() >= most_states)
    throw usage_error(cat("the constraint is too large: more than ", most_states, " states"));
  edges_.emplace_back();
  return static_cast<GrammarState>(edges_.size() - 1);
}

Rule Grammar::rule() {
  const GrammarState start = state();
  rules_.push_back({start, state()});
  return static_cast<Rule>(rules_.size() - 1);
}

void Grammar::add(GrammarState from, Edge edge) {
  if (++count_ > most_edges)
    throw usage_error(cat("the constraint is too large: more than ", most_edges, " edges"));
  edges_[from].push_back(edge);
}

void Grammar::text(GrammarState from, std::string_view text, GrammarState to) {
  if (text.empty()) return empty(from, to);
  for (; text.size() > 1; text.remove_prefix(1)) {
    const GrammarState next = state();
    byte(from, text[0], next);
    from = next;
  }
  byte(from, text[0], to);
}

bool Grammar::prune() {
  const Liveness live(*this);
  std::vector<std::vector<Edge>> kept(edges_.size());
  for (std::size_t s = 0; s < edges_.size(); ++s)
    std::copy_if(edges_[s].begin(), edges_[s].end(), std::back_inserter(kept[s]),
                 [&](const Edge& edge) { return live.edge(edge); });
  edges_ = std::move(kept);
  return live.rule(0);
}

GrammarState StringRange::tail(std::size_t length) {
  while (tails_.size() <= length) {
    const GrammarState state = grammar_.state();
    grammar_.bytes(state, low_, high_, tails_.back());
    tails_.push_back(state);
  }
  return tails_[length];
}

void StringRange::add(GrammarState from, std::string_view low, std::string_view high) {
  const std::size_t rest = low.size() - 1;
  auto first = static_cast<std::uint8_t>(low[0]), last = static_cast<std::uint8_t>(high[0]);
  const auto step = [&](std::uint8_t byte, std::string_view low_tail, std::string_view high_tail) {
    const GrammarState next = grammar_.state();
    grammar_.bytes(from, byte, byte, next);
    add(next, low_tail, high_tail);
  };
  const std::string lowest(rest, static_cast<char>(low_)), highest(rest, static_cast<char>(high_));
  const bool whole_low = low.substr(1) == lowest, whole_high = high.substr(1) == highest;
  if (first == last && !(whole_low && whole_high))
    return step(first, low.substr(1), high.substr(1));
  if (!whole_low) step(first++, low.substr(1), highest);
  if (!whole_high) step(last--, lowest, high.substr(1));
  if (first <= last) grammar_.bytes(from, first, last, tail(rest));
}

}  // namespace blt::generate
