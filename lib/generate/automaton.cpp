// SPDX-License-Identifier: MIT
#include "automaton.h"

#include <algorithm>

#include "blt/base/error.h"

namespace blt::generate {
namespace {

constexpr std::size_t most_places = 4'000'000;         // about 100 MB with all tables
constexpr std::uint64_t text_end = ~std::uint64_t{0};  // where the whole text's rule returns to

GrammarState state_of(std::uint64_t place) {
  return static_cast<GrammarState>(place >> 32);
}

void sort_unique(std::vector<std::uint64_t>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

}  // namespace

std::size_t Automaton::Hash::operator()(const Places& places) const {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const Place p : places) {
    hash = (hash ^ p) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  return static_cast<std::size_t>(hash);
}

Automaton::Automaton(Grammar grammar) : grammar_(std::move(grammar)) {
  if (!grammar_.prune()) throw usage_error("no text meets the constraint");
  final_.resize(grammar_.states());
  for (Rule r = 0; r < grammar_.rules(); ++r) final_[grammar_.ends(r).final] = true;
  restart();
}

void Automaton::restart() {
  states_.clear();
  state_ids_.clear();
  callers_.clear();
  callers_ids_.clear();
  steps_.clear();
  held_ = 0;
  limit_ = most_places;
  close({place(grammar_.ends(0).start, callers({text_end}))});
}

bool Automaton::full() const {
  return held_ > limit_;
}

void Automaton::keep(std::vector<State>& states, std::size_t least) {
  const auto old_states = std::move(states_);
  const auto old_callers = std::move(callers_);
  restart();
  std::size_t count = 0, room = most_places / 8;
  for (; count < states.size(); ++count) {
    const std::size_t size = old_states[states[states.size() - 1 - count]].places.size();
    if (count >= least && size > room) break;
    room -= std::min(room, size);
  }
  states.erase(states.begin(), states.end() - static_cast<std::ptrdiff_t>(count));

  // A node is younger than what it returns to: marks go down, copies up.
  std::vector<bool> wanted(old_callers.size());
  const auto want = [&](const Places& places) {
    for (const Place p : places) {
      if (p != text_end) wanted[static_cast<Callers>(p)] = true;
    }
  };
  for (const State state : states) want(old_states[state].places);
  for (std::size_t i = old_callers.size(); i-- > 0;) {
    if (wanted[i]) want(old_callers[i]);
  }
  std::vector<Callers> renamed(old_callers.size());
  const auto rename = [&](Places places) {
    for (Place& p : places) {
      if (p != text_end) p = place(state_of(p), renamed[static_cast<Callers>(p)]);
    }
    sort_unique(places);
    return places;
  };
  for (std::size_t i = 0; i < old_callers.size(); ++i) {
    if (wanted[i]) renamed[i] = callers(rename(old_callers[i]));
  }
  for (State& state : states)
    state = intern(rename(old_states[state].places), old_states[state].allowed.end);
  limit_ = std::max(most_places, 2 * held_);  // deep nesting may be most of it
}

void Automaton::charge(std::size_t places) {
  constexpr std::size_t overhead = 16;  // the tables' share of an entry
  held_ += places + overhead;
}

Automaton::State Automaton::next(State state, std::uint8_t byte) {
  const std::uint64_t key = static_cast<std::uint64_t>(state) * 256 + byte;
  if (const auto known = steps_.find(key); known != steps_.end()) return known->second;
  Places work;
  for (const Place p : states_[state].places) {
    for (const auto& edge : grammar_.edges(state_of(p))) {
      if (edge.kind == Grammar::Kind::bytes && edge.low <= byte && byte <= edge.high)
        work.push_back(place(edge.to, static_cast<Callers>(p)));
    }
  }
  const State to = close(std::move(work));
  steps_.emplace(key, to);
  return to;
}

// All places that are reached without a byte, in two parts: returns and empty steps from the given
// places, then the calls that came up.
Automaton::State Automaton::close(Places work) {
  seen_.clear();
  calls_.clear();
  Places reading;
  bool end = false;
  for (std::size_t i = 0; i < work.size(); ++i) {
    const Place here = work[i];
    const GrammarState state = state_of(here);
    const auto from = static_cast<Callers>(here);
    if (!seen_.insert(here).second) continue;
    if (final_[state]) {
      for (const Place back : callers_[from]) {
        if (back == text_end)
          end = true;
        else
          work.push_back(back);
      }
    }
    bool reads = false;
    for (const auto& edge : grammar_.edges(state)) {
      if (edge.kind == Grammar::Kind::bytes)
        reads = true;
      else if (edge.kind == Grammar::Kind::empty)
        work.push_back(place(edge.to, from));
      else
        call(edge.rule, edge.to, from);
    }
    if (reads) reading.push_back(here);
  }
  open_calls(reading);
  sort_unique(reading);
  return intern(std::move(reading), end);
}

// A call with nothing after it returns to where its caller would.
void Automaton::call(Rule rule, GrammarState to, Callers from) {
  Places& returns = calls_[rule];
  if (final_[to])
    returns.insert(returns.end(), callers_[from].begin(), callers_[from].end());
  else
    returns.push_back(place(to, from));
}

void Automaton::open_calls(Places& reading) {
  std::map<Rule, Places> returns;
  for (const auto& [rule, places] : calls_) {
    for (const Rule inner : opening(rule).rules)
      returns[inner].insert(returns[inner].end(), places.begin(), places.end());
  }
  for (auto& [rule, places] : returns) {
    sort_unique(places);
    const Callers node = callers(std::move(places));
    for (const GrammarState state : opening(rule).places) reading.push_back(place(state, node));
  }
}

const Automaton::Opening& Automaton::opening(Rule rule) {
  const auto [entry, fresh] = openings_.try_emplace(rule);
  return fresh ? explore(rule, entry->second) : entry->second;
}

const Automaton::Opening& Automaton::explore(Rule rule, Opening& out) {
  out.rules.push_back(rule);
  for (std::size_t i = 0; i < out.rules.size(); ++i) {
    std::vector<GrammarState> work = {grammar_.ends(out.rules[i]).start};
    std::unordered_set<GrammarState> seen;
    for (std::size_t k = 0; k < work.size(); ++k) {
      if (!seen.insert(work[k]).second) continue;
      bool reads = false;
      for (const auto& edge : grammar_.edges(work[k])) {
        if (edge.kind == Grammar::Kind::bytes) {
          reads = true;
        } else if (edge.kind == Grammar::Kind::empty) {
          work.push_back(edge.to);
        } else if (!final_[edge.to]) {
          throw internal_error("a grammar's rule begins with a call");
        } else if (std::find(out.rules.begin(), out.rules.end(), edge.rule) == out.rules.end()) {
          out.rules.push_back(edge.rule);
        }
      }
      if (final_[work[k]]) throw internal_error("a grammar's rule matches nothing");
      if (reads && i == 0) out.places.push_back(work[k]);
    }
  }
  return out;
}

Automaton::Callers Automaton::callers(Places returns) {
  const auto [entry, fresh] =
      callers_ids_.try_emplace(returns, static_cast<Callers>(callers_.size()));
  if (fresh) {
    charge(2 * returns.size());
    callers_.push_back(std::move(returns));
  }
  return entry->second;
}

Automaton::State Automaton::intern(Places reading, bool end) {
  reading.push_back(end);
  const auto [entry, fresh] = state_ids_.try_emplace(reading, static_cast<State>(states_.size()));
  reading.pop_back();
  if (!fresh) return entry->second;
  Allowed allowed;
  allowed.end = end;
  for (const Place p : reading) {
    for (const auto& edge : grammar_.edges(state_of(p))) {
      if (edge.kind != Grammar::Kind::bytes) continue;
      for (unsigned b = edge.low; b <= edge.high; ++b)
        allowed.bytes[b / 64] |= std::uint64_t{1} << (b % 64);
    }
  }
  charge(2 * reading.size());
  states_.push_back({std::move(reading), allowed});
  return entry->second;
}

}  // namespace blt::generate
