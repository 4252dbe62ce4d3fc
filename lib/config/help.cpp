// SPDX-License-Identifier: MIT
#include "help.h"

#include <algorithm>

#include "blt/base/error.h"

namespace blt::config {
namespace {

constexpr std::size_t help_width = 92;

std::string repeat_mark(const Field& field) { return field.is_list() ? "..." : ""; }

// Words at most `width` columns wide, each further line behind `indent` spaces.
std::string wrap(const std::string& text, std::size_t indent, std::size_t width) {
  std::string out;
  std::size_t column = indent;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (column > indent && column + 1 + word.size() > width) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

std::string annotations(const Field& field) {
  std::string out;
  if (!field.choices.empty()) {
    out += " [";
    for (const auto& choice : field.choices) out += (&choice == &field.choices.front() ? "" : ", ") + choice;
    out += "]";
  }
  if (const std::string text = default_text(field); !text.empty() && !field.required) out += " (default: " + text + ")";
  if (field.required && !field.positional()) out += " (required)";
  if (!field.environment.empty()) out += " (environment: " + field.environment + ")";
  return out;
}

std::string entry(const Field& field, bool details) {
  constexpr std::size_t column = 28;
  std::string left = "  " + left_column(field);
  std::string out = left;
  if (left.size() + 2 > column) out += '\n' + std::string(column, ' ');
  else out += std::string(column - left.size(), ' ');
  std::string text = field.help + annotations(field);
  if (details && !field.details.empty()) text += ". " + field.details;
  return out + wrap(text, column, help_width) + '\n';
}

}  // namespace

std::string left_column(const Field& field) {
  if (field.positional()) return field.name + repeat_mark(field);
  std::string flags = field.flags;
  if (const auto comma = flags.find(','); comma != std::string::npos) flags.insert(comma + 1, " ");
  return field.value.empty() ? flags : flags + " " + field.value + (field.many ? "..." : "");
}

std::string usage_line(const Program& program, const Command& command) {
  std::string out = program.name + (command.name.empty() ? "" : " " + command.name);
  for (const auto& field : command.fields.all()) {
    if (!field.positional()) continue;
    const std::string word = field.name + repeat_mark(field);
    out += field.required ? " " + word : " [" + word + "]";
  }
  for (const auto& field : command.fields.all()) {
    if (field.required && !field.positional()) out += " " + field.long_flag() + " " + field.value;
  }
  return out + " [OPTIONS]";
}

std::string help_text(const Program& program, const Command& command, const Fields& common, bool full) {
  const bool top = command.name.empty();
  std::string out = (top ? program.brief : command.brief) + "\n\n";
  if (full && !command.examples.empty()) {
    out += "Examples:\n";
    for (const auto& example : command.examples) out += "  " + example.command + "\n      " + example.text + "\n";
    out += "\n";
  }
  const char* before = "Usage: ";
  const auto usage = [&](const Command& used) {
    out += before + usage_line(program, used) + "\n";
    before = "       ";
  };
  if (!(top && !command.run)) usage(command);
  if (top && program.commands.size() > 1) {
    for (const auto& other : program.commands) {
      if (!other.name.empty()) usage(other);
    }
    out += "\nCommands:\n";
    for (const auto& other : program.commands) {
      if (other.name.empty()) continue;
      out += "  " + other.name + std::string(other.name.size() < 12 ? 12 - other.name.size() : 1, ' ') + other.brief + "\n";
    }
  }
  if (full) {
    const std::string& description = top ? program.description : command.description;
    if (!description.empty()) out += "\n" + wrap(description, 0, help_width) + "\n";
  }
  std::string group;
  const auto print = [&](const Fields& fields) {
    for (const auto& field : fields.all()) {
      if (!full && !field.common && !field.required) continue;
      const std::string heading = field.positional() ? "Arguments" : field.group;
      if (heading != group) out += "\n" + (group = heading) + ":\n";
      out += entry(field, full);
    }
  };
  print(command.fields);
  print(common);
  if (!full) out += "\n--help tells more" + std::string(program.commands.size() > 1 && top ? "; COMMAND --help tells of a command" : "") + ".\n";
  return out;
}

}  // namespace blt::config
