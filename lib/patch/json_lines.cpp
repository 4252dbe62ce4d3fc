// SPDX-License-Identifier: MIT
#include "blt/patch/json_lines.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>

#include "blt/base/error.h"
#include "blt/base/json.h"
#include "blt/base/signals.h"
#include "blt/text/utf8.h"
#include "line_reader.h"

namespace blt::patch {
namespace {

namespace dom = simdjson::dom;

template <class Number>
void append_number(std::string& out, Number value) {
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  (void)error;
  out.append(digits, end);
}

template <class Number>
void append_list(std::string& out, std::span<const Number> values) {
  out += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i) out += ',';
    append_number(out, values[i]);
  }
  out += ']';
}

// Precondition: valid UTF-8.
void append_string(std::string& out, std::string_view text) {
  constexpr char hex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\r')
      out += "\\r";
    else if (byte < 0x20 || byte == 0x7F)
      ((out += "\\u00") += hex[byte >> 4]) += hex[byte & 15];
    else
      out += c;
  }
  out += '"';
}

std::vector<TokenId> read_ids(dom::array row) {
  std::vector<TokenId> ids;
  ids.reserve(row.size());
  for (const dom::element item : row) {
    std::uint64_t id = 0;
    if (item.get(id) != simdjson::SUCCESS || id >= vocab_size) {
      throw input_error(cat("tokens: item ", ids.size(), " is no id from 0 to ", vocab_size - 1));
    }
    ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

std::vector<float> read_entropies(dom::array row) {
  std::vector<float> values;
  values.reserve(row.size());
  for (const dom::element item : row) {
    double value = 0;
    if (item.get(value) != simdjson::SUCCESS)
      throw input_error(cat("entropies: item ", values.size(), " is no number"));
    values.push_back(static_cast<float>(value));
  }
  return values;
}

dom::array as_array(dom::element element, const char* key) {
  dom::array array;
  if (element.get(array) != simdjson::SUCCESS) throw input_error(cat(key, " is no list"));
  return array;
}

bool is_list_of_rows(dom::array array) {
  return array.size() > 0 && array.at(0).is_array();
}

// Key of an object, or nothing for a missing key and null.
std::optional<dom::element> find(dom::object object, const char* key) {
  dom::element element;
  if (object[key].get(element) != simdjson::SUCCESS || element.is_null()) return std::nullopt;
  return element;
}

struct Rows {
  std::vector<std::vector<TokenId>> tokens;
  std::vector<std::vector<float>> entropies;  // as many rows, or none
  bool batch = false;                         // the line holds a list of rows
};

void read_entropy_rows(dom::object object, Rows& rows) {
  const auto element = find(object, "entropies");
  if (!element) return;
  const dom::array list = as_array(*element, "entropies");
  if (is_list_of_rows(list)) {
    for (const dom::element row : list)
      rows.entropies.push_back(read_entropies(as_array(row, "a row of entropies")));
  } else {
    rows.entropies.push_back(read_entropies(list));
  }
}

void read_token_rows(dom::element element, Rows& rows) {
  const dom::array list = as_array(element, "tokens");
  rows.batch = is_list_of_rows(list);
  if (rows.batch) {
    for (const dom::element row : list)
      rows.tokens.push_back(read_ids(as_array(row, "a row of tokens")));
  } else {
    rows.tokens.push_back(read_ids(list));
  }
}

// The bytes of "text" or "bytes_base64".
std::optional<std::string> read_text(dom::object object) {
  for (const char* key : {"text", "bytes_base64"}) {
    const auto element = find(object, key);
    if (!element) continue;
    std::string_view text;
    if (element->get(text) != simdjson::SUCCESS) throw input_error(cat(key, " is no string"));
    return key == std::string_view("text") ? std::string(text) : decode_base64(text);
  }
  return std::nullopt;
}

// Puts the lengths behind the last key of a line whose JSON is known to be a whole object.
std::string with_lengths(std::string_view line, const std::string& lengths, bool replace) {
  if (replace) {
    Json json = Json::parse(line);
    json.erase("patch_lengths");
    std::string text = json.dump();
    return text.substr(0, text.size() - 1) + ",\"patch_lengths\":" + lengths + "}";
  }
  std::string_view front = line.substr(0, line.rfind('}'));
  while (!front.empty() && (front.back() == ' ' || front.back() == '\t')) front.remove_suffix(1);
  return cat(front, ",\"patch_lengths\":", lengths, "}");
}

}  // namespace

struct LineCutter::Impl {
  CutOptions options;
  dom::parser parser;

  Rows read_rows(dom::object object) const {
    Rows rows;
    read_entropy_rows(object, rows);
    if (const auto tokens = find(object, "tokens")) {
      read_token_rows(*tokens, rows);
    } else if (const auto text = read_text(object)) {
      const bool eos =
          rows.entropies.empty() ? options.eos : rows.entropies.front().size() == text->size() + 2;
      rows.tokens.push_back(encode(*text, true, eos));
    } else {
      throw input_error("the record has neither tokens nor text");
    }
    if (!rows.entropies.empty() && rows.entropies.size() != rows.tokens.size()) {
      throw input_error(
          cat(rows.entropies.size(), " rows of entropies for ", rows.tokens.size(), " of tokens"));
    }
    if (rows.entropies.empty() && needs_entropies(options.rules.scheme)) {
      throw input_error(cat("the record has no entropies, which scheme ",
                            scheme_name(options.rules.scheme), " needs"));
    }
    return rows;
  }

  std::string lengths_of(const Rows& rows) const {
    std::vector<std::vector<std::uint32_t>> all;
    std::size_t longest = 0;
    for (std::size_t i = 0; i < rows.tokens.size(); ++i) {
      const auto entropies = rows.entropies.empty() ? std::span<const float>()
                                                    : std::span<const float>(rows.entropies[i]);
      auto lengths = patch::cut(rows.tokens[i], entropies, options.rules);
      all.push_back(options.training_form ? training_form(std::move(lengths)) : std::move(lengths));
      longest = std::max(longest, all.back().size());
    }
    std::string text = rows.batch ? "[" : "";
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i) text += ',';
      all[i].resize(longest, 0);
      append_list<std::uint32_t>(text, all[i]);
    }
    return rows.batch ? text + "]" : text;
  }
};

LineCutter::LineCutter(const CutOptions& options) : impl_(std::make_unique<Impl>()) {
  check_rules(options.rules);
  impl_->options = options;
}
LineCutter::~LineCutter() = default;

std::string LineCutter::cut(std::string_view line) {
  dom::element root;
  if (const auto error = impl_->parser.parse(line.data(), line.size(), true).get(root)) {
    throw input_error(cat("invalid JSON: ", simdjson::error_message(error)));
  }
  dom::object object;
  if (root.get(object) != simdjson::SUCCESS) throw input_error("the line is no JSON object");
  dom::element earlier;
  const bool replace = object["patch_lengths"].get(earlier) == simdjson::SUCCESS;
  return with_lengths(line, impl_->lengths_of(impl_->read_rows(object)), replace);
}

LineCounts for_each_line(const std::vector<std::string>& inputs, const std::string& on_error,
                         const std::function<bool(std::string_view, std::uint64_t)>& take,
                         Reporter& reporter) {
  LineCounts counts;
  std::string first_problem;
  bool open = true;
  for (std::size_t i = 0; open && i < inputs.size(); ++i) {
    LineReader reader(inputs[i]);
    for (std::string_view line; open && reader.next(line);) {
      if ((counts.signal = stop_signal())) return counts;
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      try {
        open = take(line, reader.number());
        ++counts.lines;
      } catch (Error& error) {
        if (error.kind() != ErrorKind::input) throw;
        error.add_context(cat(inputs[i] == "-" ? "standard input" : inputs[i], ":", reader.number()));
        if (on_error != "skip") throw;
        if (counts.skipped++ == 0) first_problem = error.what();
      }
    }
  }
  if (counts.skipped)
    reporter.problem(cat("skipped ", counts.skipped, counts.skipped == 1 ? " line" : " lines",
                         ", the first: ", first_problem));
  return counts;
}

LineCounts cut_lines(const std::vector<std::string>& inputs, const CutOptions& options,
                     const std::string& on_error,
                     const std::function<bool(const std::string&)>& emit, Reporter& reporter) {
  LineCutter cutter(options);
  const auto take = [&](std::string_view line, std::uint64_t) {
    return emit(cutter.cut(line) + '\n');
  };
  return for_each_line(inputs, on_error, take, reporter);
}

std::string to_json_line(const shard::Record& record, bool entropies) {
  std::string out = "{\"id\":";
  append_string(out, text::replace_invalid(record.id));
  if (!record.group.empty()) {
    out += ",\"group\":";
    append_string(out, text::replace_invalid(record.group));
  }
  if (text::is_valid_utf8(record.text)) {
    out += ",\"text\":";
    append_string(out, record.text);
  } else {
    out += ",\"bytes_base64\":\"" + encode_base64(record.text) + '"';
  }
  out += ",\"patch_lengths\":";
  append_list<std::uint32_t>(out, record.patch_lengths);
  if (entropies && !record.entropies.empty()) {
    out += ",\"entropies\":";
    append_list<float>(out, record.entropies);
  }
  return out += "}\n";
}

}  // namespace blt::patch
