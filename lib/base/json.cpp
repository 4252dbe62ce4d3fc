// SPDX-License-Identifier: MIT
#include "blt/base/json.h"

#include <algorithm>

#include "blt/base/error.h"
#include "blt/base/files.h"

namespace blt {

constexpr int most_nested = 100;  // what walks a value calls itself for each level

Json read_json_file(const std::string& path) {
  const std::string text = read_file(path);
  const auto limit_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > most_nested) throw input_error(cat(path, ": nested more than ", most_nested, " deep"));
    return true;
  };
  try {
    return Json::parse(text, limit_depth);
  } catch (const Json::parse_error& error) {
    const std::size_t end = std::min(error.byte > 0 ? error.byte - 1 : 0, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    throw input_error(cat(path, ":", line, ": not valid JSON"));
  }
}

std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace blt
