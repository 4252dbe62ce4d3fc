// SPDX-License-Identifier: MIT
// Rows of JSON lines files to score.
#include <simdjson.h>

#include "blt/base/error.h"
#include "blt/generate/score.h"

namespace blt::generate {
namespace {

namespace dom = simdjson::dom;

std::string read_string(dom::object object, const char* key) {
  dom::element element;
  if (object[key].get(element) != simdjson::SUCCESS)
    throw input_error(cat("the row has no ", key));
  std::string_view text;
  if (element.get(text) != simdjson::SUCCESS) throw input_error(cat(key, " is no string"));
  return std::string(text);
}

std::vector<std::string> read_choices(dom::element element) {
  dom::array list;
  if (element.get(list) != simdjson::SUCCESS) throw input_error("choices is no list");
  std::vector<std::string> choices;
  for (const dom::element item : list) {
    std::string_view text;
    if (item.get(text) != simdjson::SUCCESS)
      throw input_error(cat("choices: item ", choices.size(), " is no string"));
    if (text.empty()) throw input_error(cat("choices: item ", choices.size(), " is empty"));
    choices.emplace_back(text);
  }
  if (choices.empty()) throw input_error("choices is empty");
  return choices;
}

std::size_t read_gold(dom::object object, std::size_t choices) {
  std::uint64_t gold = 0;
  if (object["gold"].get(gold) != simdjson::SUCCESS || gold >= choices)
    throw input_error(cat("gold is no number from 0 to ", choices - 1));
  return gold;
}

}  // namespace

ScoreRow parse_score_row(std::string_view line, const std::string& join) {
  thread_local dom::parser parser;
  dom::element root, choices;
  if (const auto error = parser.parse(line.data(), line.size(), true).get(root))
    throw input_error(cat("invalid JSON: ", simdjson::error_message(error)));
  dom::object object;
  if (root.get(object) != simdjson::SUCCESS) throw input_error("the line is no JSON object");
  ScoreRow row;
  row.is_choice = object["choices"].get(choices) == simdjson::SUCCESS;
  if (row.is_choice) {
    row.prefix = read_string(object, "query") + join;
    row.texts = read_choices(choices);
    row.gold = read_gold(object, row.texts.size());
    return row;
  }
  dom::element continuation;
  if (object["continuation"].get(continuation) != simdjson::SUCCESS)
    throw input_error("the row has neither choices nor a continuation");
  row.prefix = read_string(object, "context") + join;
  row.texts = {read_string(object, "continuation")};
  if (row.texts[0].empty()) throw input_error("continuation is empty");
  return row;
}

}  // namespace blt::generate
