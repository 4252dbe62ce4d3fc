// SPDX-License-Identifier: MIT
// What a generated text may be: the bytes that may come next, and whether the text may end.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "blt/base/json.h"
#include "blt/config/generate_config.h"

namespace blt::generate {

class Automaton;

// What may follow a text.
struct Allowed {
  std::array<std::uint64_t, 4> bytes{};  // bit b % 64 of word b / 64: byte b
  bool end = false;

  bool has(std::uint8_t byte) const { return bytes[byte / 64] >> (byte % 64) & 1; }
  bool any_byte() const { return (bytes[0] | bytes[1] | bytes[2] | bytes[3]) != 0; }
};

// A set of texts and a growing text that can always become one of them: there is no dead end. It
// may be cut back.
class Constraint {
 public:
  // Errors: usage, when no text is in the set.
  explicit Constraint(std::unique_ptr<Automaton> automaton);
  ~Constraint();
  Constraint(Constraint&&) noexcept;

  // Valid until the next advance().
  const Allowed& allowed() const;
  // The text is complete and nothing may follow.
  bool complete() const { return !allowed().any_byte(); }
  // Errors: internal (a byte that is not allowed: the text stays as it is).
  void advance(std::uint8_t byte);
  // Takes the last `count` bytes back: any number, but of a constraint with very many states
  // perhaps 256 at most. Errors: internal, when there are fewer.
  void rollback(std::int64_t count);
  void reset();
  std::int64_t length() const { return forgotten_ + static_cast<std::int64_t>(path_.size()) - 1; }

 private:
  std::unique_ptr<Automaton> automaton_;
  std::vector<std::uint32_t> path_;  // the state after each byte, the start first
  std::int64_t forgotten_ = 0;       // states that have left its front
};

// The sets. Errors: usage (not of the language, too large, no text at all), for a schema input
// where the schema says what it may not. docs/constraints.md tells what each language holds.
Constraint json_constraint();
Constraint schema_constraint(const Json& schema);
Constraint regex_constraint(std::string_view pattern);
Constraint choices_constraint(std::string_view choices, bool utf8);
Constraint utf8_constraint();

// The one that the options ask for; none: nullptr. Errors: as above, input (a file).
std::unique_ptr<Constraint> make_constraint(const GenerateConfig& config);

}  // namespace blt::generate
