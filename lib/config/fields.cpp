// SPDX-License-Identifier: MIT
#include "blt/config/fields.h"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <type_traits>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/units.h"

namespace blt::config {
namespace {

template <class T> struct IsVector : std::false_type {};
template <class T> struct IsVector<std::vector<T>> : std::true_type {};
template <class T> struct IsOptional : std::false_type {};
template <class T> struct IsOptional<std::optional<T>> : std::true_type {};

std::string join(const std::vector<std::string>& words, const char* separator) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : separator) + word;
  return out;
}

[[noreturn]] void refuse(const Field& field, std::string_view text, const std::string& legal) {
  throw usage_error(cat(field.long_flag(), ": '", text, "' is not ", legal));
}

std::string range_text(const Field& field) {
  const bool low = std::isfinite(field.min), high = std::isfinite(field.max);
  if (low && high) return cat(" from ", format_double(field.min), " to ", format_double(field.max));
  if (low) return cat(" of at least ", format_double(field.min));
  if (high) return cat(" of at most ", format_double(field.max));
  return "";
}

void parse(const Field& field, std::string_view text, bool& out) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") out = true;
  else if (text == "false" || text == "0" || text == "no" || text == "off") out = false;
  else refuse(field, text, "true or false");
}

void parse(const Field& field, std::string_view text, std::int64_t& out) {
  const auto value = parse_size(text);
  const bool plain = !text.empty() && text.find_first_not_of("0123456789-") == std::string_view::npos;
  if (!value || (!plain && !field.sized) || static_cast<double>(*value) < field.min ||
      static_cast<double>(*value) > field.max) {
    refuse(field, text, (field.sized ? "a size" : "a whole number") + range_text(field));
  }
  out = *value;
}

void parse(const Field& field, std::string_view text, double& out) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value) || value < field.min || value > field.max) {
    refuse(field, text, "a number" + range_text(field));
  }
  out = value;
}

void parse(const Field& field, std::string_view text, std::string& out) {
  const auto& choices = field.choices;
  if (!choices.empty() && std::find(choices.begin(), choices.end(), text) == choices.end()) {
    refuse(field, text, "one of " + join(choices, ", "));
  }
  out = text;
}

template <class T>
void parse(const Field& field, std::string_view text, std::optional<T>& out) {
  T value{};
  parse(field, text, value);
  out = std::move(value);
}

// Lists of numbers take "a,b,c"; lists of texts one item a time (a name may hold a comma).
template <class T>
void parse(const Field& field, std::string_view text, std::vector<T>& out) {
  while (true) {
    const auto comma = std::is_same_v<T, std::string> ? std::string_view::npos : text.find(',');
    T value{};
    parse(field, text.substr(0, comma), value);
    out.push_back(std::move(value));
    if (comma == std::string_view::npos) return;
    text.remove_prefix(comma + 1);
  }
}

template <class T>
Json json_of(const T& value) {
  if constexpr (IsOptional<T>::value) return value ? json_of(*value) : Json(nullptr);
  else return Json(value);
}

// Levenshtein's distance, for hints.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

std::string nearest_key(const Fields& fields, std::string_view key) {
  std::string best;
  std::size_t least = 4;
  for (const auto& field : fields.all()) {
    const std::size_t d = distance(field.name, key);
    if (d < least) {
      least = d;
      best = field.name;
    }
  }
  return best.empty() ? "" : cat("did you mean '", best, "'?");
}

std::string toml_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return format_double(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return "";
}

}  // namespace

bool Field::is_switch() const {
  return value.empty() && !positional() &&
         (std::holds_alternative<bool*>(target) || std::holds_alternative<std::optional<bool>*>(target));
}

bool Field::is_list() const {
  return std::visit([](auto* t) { return IsVector<std::remove_pointer_t<decltype(t)>>::value; }, target);
}

std::string Field::long_flag() const {
  if (positional()) return name;
  const auto dashes = flags.find("--");
  if (dashes == std::string::npos) return flags;
  return flags.substr(dashes, flags.find(',', dashes) - dashes);
}

Field& Fields::add(std::string name, std::string flags, Target target, std::string value, std::string help) {
  Field field;
  field.name = std::move(name);
  field.flags = std::move(flags);
  field.target = target;
  field.value = std::move(value);
  field.help = std::move(help);
  field.group = group_;
  return fields_.emplace_back(std::move(field));
}

Field& Fields::positional(std::string name, Target target, std::string help) {
  Field& field = add(std::move(name), "", target, "", std::move(help));
  field.common = true;
  return field;
}

Field* Fields::find(std::string_view name) {
  const auto it = std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.name == name; });
  return it == fields_.end() ? nullptr : &*it;
}

void set_from_text(Field& field, std::string_view text, Origin origin) {
  std::visit(
      [&](auto* target) {
        using T = std::remove_pointer_t<decltype(target)>;
        // The first item of a stronger source replaces what weaker ones said.
        if constexpr (IsVector<T>::value) {
          if (field.origin != origin) target->clear();
        }
        parse(field, text, *target);
      },
      field.target);
  field.origin = origin;
}

Json value_of(const Field& field) {
  return std::visit([](auto* target) { return json_of(*target); }, field.target);
}

std::string default_text(const Field& field) {
  const Json value = value_of(field);
  if (value.is_null() || field.is_switch()) return "";
  if (value.is_string()) {
    const auto text = value.get<std::string>();
    return text == " " ? "\" \"" : text;  // a space is seen in quotes alone
  }
  if (value.is_number_float()) return format_double(value.get<double>());
  if (value.is_array()) {
    std::vector<std::string> items;
    for (const auto& item : value) items.push_back(item.is_string() ? item.get<std::string>() : item.dump());
    return join(items, ",");
  }
  return value.dump();
}

void apply_toml(Fields& fields, const std::string& path) {
  const std::string text = read_file(path);
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw input_error(cat(path, ":", error.source().begin.line, ": ", error.description()));
  }
  for (const auto& entry : table) {
    const toml::key& key = entry.first;  // named: clang 14 captures no structured bindings
    const toml::node& node = entry.second;
    Field* field = fields.find(key.str());
    if (!field) {
      throw usage_error(cat(path, ":", node.source().begin.line, ": unknown key '", key.str(), "'"),
                        nearest_key(fields, key.str()));
    }
    if (field->origin > Origin::file) continue;
    with_context(cat(path, ":", node.source().begin.line), [&] {
      if (const auto* list = node.as_array(); list && field->is_list()) {
        for (const auto& item : *list) set_from_text(*field, toml_text(item), Origin::file);
      } else if (node.is_value()) {
        set_from_text(*field, toml_text(node), Origin::file);
      } else {
        throw usage_error(cat("key '", key.str(), "' has no plain value"));
      }
    });
  }
}

void apply_environment(Fields& fields) {
  for (auto& field : fields.all()) {
    if (field.environment.empty() || field.origin > Origin::environment) continue;
    if (const char* text = std::getenv(field.environment.c_str())) {
      with_context(field.environment, [&] { set_from_text(field, text, Origin::environment); });
    }
  }
}

std::string to_toml(const Fields& fields) {
  std::string out;
  for (const auto& field : fields.all()) {
    const Json value = value_of(field);
    if (!field.help.empty()) out += "# " + field.help + "\n";
    if (value.is_null()) out += "# " + field.name + " =\n";
    else out += field.name + " = " + dump_json(value) + "\n";
  }
  return out;
}

Json to_json(const Fields& fields) {
  Json out = Json::object();
  for (const auto& field : fields.all()) {
    if (field.same_run) out[field.name] = value_of(field);
  }
  return out;
}

std::vector<std::string> differences(const Fields& fields, const Json& earlier) {
  std::vector<std::string> out;
  for (const auto& field : fields.all()) {
    if (!field.same_run) continue;
    const Json now = value_of(field);
    const Json then = earlier.contains(field.name) ? earlier.at(field.name) : Json(nullptr);
    if (now != then) out.push_back(cat(field.name, ": ", dump_json(then), " -> ", dump_json(now)));
  }
  return out;
}

void validate(const Fields& fields) {
  for (const auto& field : fields.all()) {
    const Json value = value_of(field);
    const bool empty = value.is_null() || (value.is_array() && value.empty()) || (value.is_string() && value == "");
    if (field.required && empty) throw usage_error(cat(field.long_flag(), " is required"));
  }
}

}  // namespace blt::config
