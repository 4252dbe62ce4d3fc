// SPDX-License-Identifier: MIT
#include "regex.h"

#include <algorithm>
#include <memory>
#include <string>

#include "blt/base/error.h"
#include "blt/text/utf8.h"

namespace blt::generate {
namespace {

using State = CharacterAutomaton::State;

// The syntax tree, kept because counted repetitions are written more than once.
struct Node {
  enum class Kind { set, sequence, choice, repeat };
  Kind kind = Kind::sequence;
  CharacterSet set = {};
  std::vector<Node> parts = {};
  std::uint64_t least = 0;  // of repeat
  std::optional<std::uint64_t> most = {};
};

const CharacterSet any_character = complement({});
const CharacterSet digits = {{'0', '9'}};
const CharacterSet word = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const CharacterSet newlines = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
const CharacterSet space = {{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                            {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                            {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};

class Parser {
 public:
  Parser(std::string_view pattern, Match match) : text_(pattern), match_(match) {}

  Node parse() {
    const std::size_t valid = text::valid_prefix(text_);
    if (valid != text_.size()) fail(valid, "not valid UTF-8");
    Node out = choice(0);
    if (at_ < text_.size()) fail(at_, "this ) closes nothing");
    return out;
  }

 private:
  [[noreturn]] static void fail(std::size_t at, const std::string& what) {
    throw usage_error(cat("position ", at + 1, ": ", what));
  }
  bool ended() const { return at_ == text_.size(); }
  bool next_is(std::string_view text) const { return text_.substr(at_, text.size()) == text; }
  bool take(std::string_view text) {
    if (!next_is(text)) return false;
    at_ += text.size();
    return true;
  }
  char32_t take_character() {
    const auto step = text::step_utf8(text_.substr(at_));
    at_ += step.size;
    return step.code;
  }
  static Node of(CharacterSet set) { return {.kind = Node::Kind::set, .set = std::move(set)}; }
  static Node any_text() {
    Node out = {.kind = Node::Kind::repeat};
    out.parts.push_back(of(any_character));
    return out;
  }

  Node choice(int depth) {
    constexpr int deepest = 200;  // each level is a few calls
    if (depth > deepest) fail(at_, cat("groups are nested more than ", deepest, " deep"));
    Node out = {.kind = Node::Kind::choice};
    do {
      out.parts.push_back(alternative(depth));
    } while (take("|"));
    return out;
  }

  // At depth 0 also what ^ and $ say.
  Node alternative(int depth) {
    Node out;
    const bool outer = depth == 0, search = outer && match_ == Match::anywhere;
    if (!(outer && take("^")) && search) out.parts.push_back(any_text());
    bool closed = false;
    while (!closed && !ended() && !next_is("|") && !next_is(")")) {
      const std::size_t at = at_;
      closed = outer && take("$");
      if (!closed) out.parts.push_back(repeated(depth));
      if (closed && !ended() && !next_is("|") && !next_is(")"))
        fail(at, "$ only at the end of the pattern or of its alternatives");
    }
    if (!closed && search) out.parts.push_back(any_text());
    return out;
  }

  Node repeated(int depth) {
    Node out = atom(depth);
    const std::size_t at = at_;
    Length times;
    if (!quantifier(times)) return out;
    take("?");  // which repetition is preferred does not matter to a set of texts
    if (next_is("+")) fail(at_, "possessive quantifiers are not supported");
    Length again;
    if (next_is("*") || next_is("?") || quantifier(again)) fail(at, "a quantifier of a quantifier");
    Node repeat = {.kind = Node::Kind::repeat, .least = times.least, .most = times.most};
    repeat.parts.push_back(std::move(out));
    return repeat;
  }

  bool quantifier(Length& out) {
    if (take("*")) return true;
    if (take("+")) {
      out.least = 1;
      return true;
    }
    if (take("?")) {
      out.most = 1;
      return true;
    }
    return next_is("{") && counted(out);
  }

  // {m}, {m,} and {m,n}; any other { is a character.
  bool counted(Length& out) {
    const std::size_t from = at_++;
    const auto least = number();
    if (!least) {
      if (next_is(",")) fail(from, "{,n} is not clear: write {0,n} or \\{");
      at_ = from;
      return false;
    }
    out.least = *least;
    out.most = least;
    if (take(",")) out.most = number();
    if (!take("}")) {
      at_ = from;
      return false;
    }
    if (out.most && *out.most < out.least) fail(from, "{m,n} with m > n");
    return true;
  }

  std::optional<std::uint64_t> number() {
    const std::size_t from = at_;
    std::uint64_t value = 0;
    for (; !ended() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      value = value * 10 + static_cast<std::uint64_t>(text_[at_] - '0');
      if (value > most_repeats_) fail(from, cat("more than ", most_repeats_, " repetitions"));
    }
    return at_ == from ? std::nullopt : std::optional(value);
  }

  Node atom(int depth) {
    const std::size_t at = at_;
    if (take("(")) return group(at, depth);
    if (take("[")) return of(bracket(at));
    if (take(".")) return of(complement(newlines));
    if (take("\\")) return of(escape(at, false));
    if (next_is("^") || next_is("$"))
      fail(at, "^ and $ only at the ends of the pattern or of its alternatives");
    if (next_is("*") || next_is("+") || next_is("?")) fail(at, "nothing to repeat");
    Length times;
    if (next_is("{") && counted(times)) fail(at, "nothing to repeat");
    const char32_t code = take_character();
    return of(make_set({{code, code}}));
  }

  Node group(std::size_t at, int depth) {
    if (take("?") && !take(":")) {
      const bool named = (take("P<") || take("<")) && !next_is("=") && !next_is("!");
      if (!named) fail(at, "only ( ), (?: ) and (?<name> ) are supported");
      const std::size_t end = text_.find('>', at_);
      if (end == std::string_view::npos) fail(at, "the group's name has no >");
      at_ = end + 1;
    }
    Node out = choice(depth + 1);
    if (!take(")")) fail(at, "this ( is not closed");
    return out;
  }

  CharacterSet bracket(std::size_t at) {
    const bool negated = take("^");
    std::vector<CharacterRange> ranges;
    while (!take("]")) {
      if (ended()) fail(at, "this [ is not closed");
      if (next_is("[:") || next_is("[.") || next_is("[="))
        fail(at_, "POSIX classes are not supported");
      const std::size_t from = at_;
      const CharacterSet low = member();
      if (next_is("-") && !next_is("-]")) {
        ++at_;
        if (ended()) fail(at, "this [ is not closed");
        const CharacterSet high = member();
        if (!is_single(low) || !is_single(high)) fail(from, "a range between what is no character");
        if (low[0].low > high[0].low) fail(from, "a range from a higher to a lower character");
        ranges.push_back({low[0].low, high[0].low});
      } else {
        ranges.insert(ranges.end(), low.begin(), low.end());
      }
    }
    const CharacterSet set = make_set(std::move(ranges));
    return negated ? complement(set) : set;
  }

  static bool is_single(const CharacterSet& set) {
    return set.size() == 1 && set[0].low == set[0].high;
  }

  CharacterSet member() {
    const std::size_t at = at_;
    if (take("\\")) return escape(at, true);
    const char32_t code = take_character();
    return {{code, code}};
  }

  CharacterSet escape(std::size_t at, bool in_bracket) {
    if (ended()) fail(at, "\\ at the end of the pattern");
    const char32_t c = take_character();
    const auto one = [](char32_t code) { return CharacterSet{{code, code}}; };
    switch (c) {
      case 'd':
        return digits;
      case 'D':
        return complement(digits);
      case 'w':
        return word;
      case 'W':
        return complement(word);
      case 's':
        return space;
      case 'S':
        return complement(space);
      case 'n':
        return one('\n');
      case 't':
        return one('\t');
      case 'r':
        return one('\r');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case 'x':
        return one(hexadecimal(at, 2));
      case 'u':
        return one(unicode(at));
      default:
        break;
    }
    if (c == 'b' && in_bracket) return one('\b');
    if (c == '0' && (ended() || text_[at_] < '0' || text_[at_] > '9')) return one(0);
    if ((c >= '0' && c <= '9') || c == 'k') fail(at, "back references are not supported");
    if (c == 'b' || c == 'B') fail(at, "assertions are not supported");
    if (c == 'p' || c == 'P') fail(at, "Unicode properties are not supported");
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) fail(at, "an unknown escape");
    return one(c);
  }

  char32_t unicode(std::size_t at) {
    if (!take("{")) {
      const char32_t high = hexadecimal(at, 4);
      if (high < 0xD800 || high > 0xDFFF) return high;
      if (high < 0xDC00 && take("\\u")) {
        const char32_t low = hexadecimal(at, 4);
        if (low >= 0xDC00 && low <= 0xDFFF)
          return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
      }
      fail(at, "a surrogate is no character");
    }
    const std::size_t end = text_.find('}', at_);
    if (end == std::string_view::npos || end == at_ || end > at_ + 6)
      fail(at, "\\u{ } holds one to six hexadecimal digits");
    const char32_t code = hexadecimal(at, end - at_);
    ++at_;
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) fail(at, "no character");
    return code;
  }

  char32_t hexadecimal(std::size_t at, std::size_t count) {
    char32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const char c = ended() ? '\0' : text_[at_++];
      if (c >= '0' && c <= '9')
        value = value * 16 + static_cast<char32_t>(c - '0');
      else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
        value = value * 16 + static_cast<char32_t>((c | 0x20) - 'a' + 10);
      else
        fail(at, cat("not ", count, " hexadecimal digits"));
    }
    return value;
  }

  static constexpr std::uint64_t most_repeats_ = 100'000;
  std::string_view text_;
  Match match_;
  std::size_t at_ = 0;
};

void write(CharacterAutomaton& out, State from, const Node& node, State to);

// x{m,n}: m copies, then n - m that can be left out, or a loop.
void write_repeat(CharacterAutomaton& out, State from, const Node& node, State to) {
  const Node& part = node.parts[0];
  const auto step = [&] {
    const State next = out.state();
    write(out, from, part, next);
    from = next;
  };
  for (std::uint64_t i = 0; i < node.least; ++i) step();
  if (node.most) {
    for (std::uint64_t i = node.least; i < *node.most; ++i) {
      out.empty(from, to);
      step();
    }
    out.empty(from, to);
  } else {
    // A state of its own: `from` may have other ways out, which a loop would reach again.
    const State loop = out.state();
    out.empty(from, loop);
    write(out, loop, part, loop);
    out.empty(loop, to);
  }
}

void write(CharacterAutomaton& out, State from, const Node& node, State to) {
  switch (node.kind) {
    case Node::Kind::set:
      return out.read(from, node.set, to);
    case Node::Kind::repeat:
      return write_repeat(out, from, node, to);
    case Node::Kind::choice:
      for (const Node& part : node.parts) write(out, from, part, to);
      return;
    case Node::Kind::sequence:
      break;
  }
  for (const Node& part : node.parts) {
    const State next = out.state();
    write(out, from, part, next);
    from = next;
  }
  out.empty(from, to);
}

}  // namespace

CharacterAutomaton parse_regex(std::string_view pattern, Match match) {
  const Node tree = Parser(pattern, match).parse();
  CharacterAutomaton out;
  out.start = out.state();
  out.final = out.state();
  write(out, out.start, tree, out.final);
  return out;
}

}  // namespace blt::generate
