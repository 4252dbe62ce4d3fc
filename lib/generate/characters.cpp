// SPDX-License-Identifier: MIT
#include "characters.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "blt/base/error.h"
#include "blt/text/utf8.h"

namespace blt::generate {
namespace {

constexpr char32_t last_character = 0x10FFFF;

std::string utf8(char32_t code) {
  std::string out;
  text::append_utf8(out, code);
  return out;
}

// Ranges within which UTF-8 has one length.
constexpr std::array<CharacterRange, 4> lengths = {
    {{0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xFFFF}, {0x10000, last_character}}};

void write_json_escape(Grammar& grammar, GrammarState from, char32_t code, GrammarState to) {
  static const std::map<char32_t, char> short_forms = {
      {'"', '"'}, {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}};
  const GrammarState escape = grammar.state();
  grammar.byte(from, '\\', escape);
  if (const auto form = short_forms.find(code); form != short_forms.end())
    return grammar.byte(escape, form->second, to);
  const GrammarState last = grammar.state();
  grammar.text(escape, code < 16 ? "u000" : "u001", last);
  const char32_t digit = code % 16;
  grammar.byte(last, "0123456789abcdef"[digit], to);
  if (digit >= 10) grammar.byte(last, "ABCDEF"[digit - 10], to);
}

bool needs_escape(char32_t code) {
  return code < 0x20 || code == '"' || code == '\\';
}

// The layers of write_automaton(): a copy of the automaton for each count of characters.
class Layers {
 public:
  Layers(Grammar& grammar, const CharacterAutomaton& automaton, Spelling spelling,
         const Length& length)
      : grammar_(grammar), automaton_(automaton), spelling_(spelling), length_(length) {}

  void write(GrammarState from, GrammarState to) {
    grammar_.empty(from, place(automaton_.start, 0));
    while (!work_.empty()) {
      const auto [state, count] = work_.back();
      work_.pop_back();
      const GrammarState here = place(state, count);
      if (state == automaton_.final && count >= length_.least) grammar_.empty(here, to);
      for (const auto next : automaton_.nodes[state].empty)
        grammar_.empty(here, place(next, count));
      if (length_.most && count == *length_.most) continue;
      const std::uint64_t more = std::min(count + 1, length_.most.value_or(length_.least));
      for (const auto& read : automaton_.nodes[state].reads)
        write_set(grammar_, here, read.set, spelling_, place(read.to, more));
    }
  }

 private:
  using Place = std::pair<CharacterAutomaton::State, std::uint64_t>;
  GrammarState place(CharacterAutomaton::State state, std::uint64_t count) {
    const auto [entry, fresh] = places_.try_emplace({state, count});
    if (fresh) {
      entry->second = grammar_.state();
      work_.push_back(entry->first);
    }
    return entry->second;
  }

  Grammar& grammar_;
  const CharacterAutomaton& automaton_;
  Spelling spelling_;
  Length length_;
  std::map<Place, GrammarState> places_;
  std::vector<Place> work_;
};

}  // namespace

CharacterSet make_set(std::vector<CharacterRange> ranges) {
  std::vector<CharacterRange> parts;
  for (const auto& r : ranges) {
    if (r.low < 0xD800) parts.push_back({r.low, std::min<char32_t>(r.high, 0xD7FF)});
    if (r.high > 0xDFFF) parts.push_back({std::max<char32_t>(r.low, 0xE000), r.high});
  }
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.low < b.low; });
  CharacterSet out;
  for (const auto& part : parts) {
    if (!out.empty() && part.low <= out.back().high + 1)
      out.back().high = std::max(out.back().high, part.high);
    else
      out.push_back(part);
  }
  return out;
}

CharacterSet complement(const CharacterSet& set) {
  std::vector<CharacterRange> gaps;
  char32_t next = 0;
  for (const auto& range : set) {
    if (range.low > next) gaps.push_back({next, range.low - 1});
    next = range.high + 1;
  }
  if (next <= last_character) gaps.push_back({next, last_character});
  return make_set(std::move(gaps));
}

CharacterAutomaton::State CharacterAutomaton::state() {
  constexpr std::size_t most = 100'000;
  if (nodes.size() >= most)
    throw usage_error(cat("the pattern is too large: more than ", most, " states"));
  nodes.emplace_back();
  return static_cast<State>(nodes.size() - 1);
}

void write_set(Grammar& grammar, GrammarState from, const CharacterSet& set, Spelling spelling,
               GrammarState to) {
  StringRange out(grammar, 0x80, 0xBF, to);
  const auto write_plain = [&](char32_t low, char32_t high) {
    for (const auto& part : lengths) {
      if (low <= part.high && part.low <= high)
        out.add(from, utf8(std::max(low, part.low)), utf8(std::min(high, part.high)));
    }
  };
  for (auto [low, high] : set) {
    if (spelling == Spelling::json_string) {
      for (char32_t code = low; code <= std::min<char32_t>(high, '\\'); ++code) {
        if (!needs_escape(code)) continue;
        if (low < code) write_plain(low, code - 1);
        write_json_escape(grammar, from, code, to);
        low = code + 1;
      }
    }
    if (low <= high) write_plain(low, high);
  }
}

void write_automaton(Grammar& grammar, GrammarState from, const CharacterAutomaton& automaton,
                     Spelling spelling, const Length& length, GrammarState to) {
  Layers(grammar, automaton, spelling, length).write(from, to);
}

}  // namespace blt::generate
