// SPDX-License-Identifier: MIT
// One record an option: the parser, help, man page, completions, config files and checks all derive from it.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "blt/base/json.h"

namespace blt::config {

// Where an option's value came from, weakest first. A stronger source wins.
enum class Origin { none, checkpoint, file, environment, flag };

using Target = std::variant<bool*, std::int64_t*, double*, std::string*, std::vector<std::string>*,
                            std::vector<std::int64_t>*, std::vector<double>*, std::optional<bool>*,
                            std::optional<std::int64_t>*, std::optional<double>*,
                            std::optional<std::string>*>;

struct Field {
  std::string name;   // snake_case key of config files and JSON; also the place-holder of a positional
  std::string flags;  // "-o,--output"; empty for a positional argument
  Target target;
  std::string help;     // one line
  std::string value;    // the value's name in help: "FILE", "T"; empty for a switch
  std::string details;  // more, for --help and the man page
  std::vector<std::string> choices;
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::string environment;  // a variable that sets it
  std::string group;        // a heading in help
  bool required = false;
  bool common = false;      // shown by -h (others: by --help only)
  bool sized = false;       // an integer that reads 256MiB, 10k
  bool many = false;        // a list flag that takes all following words: --data A B C (not beside positionals)
  bool same_run = true;     // part of run_hash(): a resume needs the same value
  Origin origin = Origin::none;

  bool positional() const { return flags.empty(); }
  bool is_switch() const;   // bool without value
  bool is_list() const;
  std::string long_flag() const;  // "--output"; the positional's name otherwise
};

// The ordered option table of one command. add() returns the new record for the rarer attributes.
class Fields {
 public:
  Field& add(std::string name, std::string flags, Target target, std::string value, std::string help);
  Field& positional(std::string name, Target target, std::string help);
  void group(std::string heading) { group_ = std::move(heading); }

  std::vector<Field>& all() { return fields_; }
  const std::vector<Field>& all() const { return fields_; }
  Field* find(std::string_view name);

 private:
  std::vector<Field> fields_;
  std::string group_ = "Options";
};

// Sets the field from text (each item of a list appends). Errors: usage, naming flag, value and what is legal.
void set_from_text(Field& field, std::string_view text, Origin origin);
// The current value as JSON; null for an unset optional.
Json value_of(const Field& field);
// The value as help shows it, or empty.
std::string default_text(const Field& field);
// TOML file -> fields of weaker origin. Unknown keys are errors (usage), with the nearest known key as hint.
void apply_toml(Fields& fields, const std::string& path);
void apply_environment(Fields& fields);
std::string to_toml(const Fields& fields);
Json to_json(const Fields& fields);
// "steps: 100 -> 200" for each field that differs; empty when the same run.
std::vector<std::string> differences(const Fields& fields, const Json& earlier);
// Required fields, ranges, choices. Errors: usage.
void validate(const Fields& fields);

}  // namespace blt::config
