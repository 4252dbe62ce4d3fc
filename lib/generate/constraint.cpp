// SPDX-License-Identifier: MIT
#include "blt/generate/constraint.h"

#include <optional>
#include <string>

#include "automaton.h"
#include "blt/base/error.h"
#include "blt/text/utf8.h"
#include "json_grammar.h"
#include "json_schema.h"
#include "regex.h"

namespace blt::generate {
namespace {

Constraint constraint(Grammar grammar) {
  return Constraint(std::make_unique<Automaton>(std::move(grammar)));
}

// Between |; \| is a | and \\ a \.
std::vector<std::string> split_choices(std::string_view list) {
  std::vector<std::string> out(1);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const bool escape =
        list[i] == '\\' && i + 1 < list.size() && (list[i + 1] == '|' || list[i + 1] == '\\');
    if (list[i] == '|')
      out.emplace_back();
    else
      out.back() += list[escape ? ++i : i];
  }
  return out;
}

}  // namespace

Constraint::Constraint(std::unique_ptr<Automaton> automaton)
    : automaton_(std::move(automaton)), path_{Automaton::start} {}
Constraint::~Constraint() = default;
Constraint::Constraint(Constraint&&) noexcept = default;

const Allowed& Constraint::allowed() const {
  return automaton_->allowed(path_.back());
}

void Constraint::advance(std::uint8_t byte) {
  if (!allowed().has(byte)) throw internal_error("a byte that the constraint does not allow");
  if (automaton_->full()) {
    constexpr std::size_t least = 257;
    const std::size_t before = path_.size();
    automaton_->keep(path_, least);
    forgotten_ += static_cast<std::int64_t>(before - path_.size());
  }
  path_.push_back(automaton_->next(path_.back(), byte));
}

void Constraint::rollback(std::int64_t count) {
  if (count < 0 || count >= static_cast<std::int64_t>(path_.size()))
    throw internal_error("a constraint has no such many bytes to take back");
  path_.resize(path_.size() - static_cast<std::size_t>(count));
}

void Constraint::reset() {
  path_ = {Automaton::start};
  forgotten_ = 0;
}

Constraint json_constraint() {
  Grammar grammar;
  const auto [start, final] = grammar.ends(grammar.rule());
  JsonGrammar json(grammar, Spacing::pretty);
  grammar.call(start, json.value(), final);
  return constraint(std::move(grammar));
}

Constraint schema_constraint(const Json& schema) {
  try {
    return constraint(schema_grammar(schema));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::usage) throw input_error(error.what());  // it is a file's fault
    throw;
  }
}

Constraint regex_constraint(std::string_view pattern) {
  Grammar grammar;
  const auto [start, final] = grammar.ends(grammar.rule());
  write_automaton(grammar, start, parse_regex(pattern, Match::whole), Spelling::plain, {}, final);
  return constraint(std::move(grammar));
}

Constraint choices_constraint(std::string_view choices, bool utf8) {
  Grammar grammar;
  const auto [start, final] = grammar.ends(grammar.rule());
  for (const auto& choice : split_choices(choices)) {
    if (choice.empty()) throw usage_error("an empty choice");
    if (utf8 && !text::is_valid_utf8(choice)) throw usage_error("a choice is not valid UTF-8");
    grammar.text(start, choice, final);
  }
  return constraint(std::move(grammar));
}

Constraint utf8_constraint() {
  Grammar grammar;
  const auto [start, final] = grammar.ends(grammar.rule());
  write_set(grammar, start, complement({}), Spelling::plain, start);
  grammar.empty(start, final);
  return constraint(std::move(grammar));
}

std::unique_ptr<Constraint> make_constraint(const GenerateConfig& config) {
  const auto make = [](const std::string& context, const auto& build) {
    return with_context(context, [&] { return std::make_unique<Constraint>(build()); });
  };
  // All but choices are UTF-8 whatever is asked.
  if (config.grammar) return std::make_unique<Constraint>(json_constraint());
  if (config.json_schema) {
    const Json schema = read_json_file(*config.json_schema);
    return make(*config.json_schema, [&] { return schema_constraint(schema); });
  }
  if (config.regex) return make("--regex", [&] { return regex_constraint(*config.regex); });
  if (config.choices)
    return make("--choices", [&] { return choices_constraint(*config.choices, config.utf8); });
  if (config.utf8) return std::make_unique<Constraint>(utf8_constraint());
  return nullptr;
}

}  // namespace blt::generate
