// SPDX-License-Identifier: MIT
#include "json_record.h"

#include <simdjson.h>

#include <algorithm>
#include <array>

#include "blt/base/error.h"

namespace blt::io {
namespace {
namespace ondemand = simdjson::ondemand;

constexpr int max_depth = 512;  // of nested values: the walk below is recursive

// Which field names a record, the first that is there.
constexpr std::array<std::string_view, 7> id_keys{"sample_id", "id",   "title", "qid",
                                                  "paper_id",  "path", "url"};

struct BadRecord {
  std::string reason;
};

std::string reason_of(simdjson::error_code code) {
  switch (code) {
    case simdjson::UNCLOSED_STRING:
      return "not valid JSON: a string is not closed";
    case simdjson::UNESCAPED_CHARS:
      return "not valid JSON: a control character in a string";
    case simdjson::STRING_ERROR:
      return "not valid JSON: a string with a bad escape";
    case simdjson::UTF8_ERROR:
      return "not valid JSON: invalid UTF-8";
    case simdjson::NUMBER_ERROR:
      return "not valid JSON: a malformed number";
    case simdjson::DEPTH_ERROR:
      return "nested too deeply";
    case simdjson::CAPACITY:
      return "longer than 4 GiB";
    case simdjson::MEMALLOC:
      return "too long for this machine's memory";
    default:
      return "not valid JSON";
  }
}

void check(simdjson::error_code code) {
  if (code != simdjson::SUCCESS) throw BadRecord{reason_of(code)};
}

template <class T>
T get(simdjson::simdjson_result<T> result) {
  T value{};
  check(std::move(result).get(value));
  return value;
}

std::string_view trim(std::string_view token) {
  const auto last = token.find_last_not_of(" \t\r\n");
  return token.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

// A lone surrogate is an error here (STRING_ERROR): it has no UTF-8 form.
std::string_view string_of(ondemand::value& value) {
  return get(value.get_string());
}

// On-Demand passes over what nobody asks for, so a value that is not used is still read: a line is
// valid JSON or refused.
void check_value(ondemand::value value, int depth) {
  if (depth > max_depth) throw BadRecord{"nested too deeply"};
  switch (get(value.type())) {
    case ondemand::json_type::object:
      for (auto field : get(value.get_object())) {
        get(field.unescaped_key());
        check_value(get(field.value()), depth + 1);
      }
      break;
    case ondemand::json_type::array:
      for (auto item : get(value.get_array())) check_value(get(item), depth + 1);
      break;
    case ondemand::json_type::string:
      string_of(value);
      break;
    case ondemand::json_type::number:
      get(value.get_double());
      break;
    case ondemand::json_type::boolean:
      get(value.get_bool());
      break;
    case ondemand::json_type::null:
      if (!get(value.is_null())) throw BadRecord{"not valid JSON"};
      break;
  }
}

}  // namespace

struct JsonRecordParser::Impl {
  ondemand::parser parser;
  std::vector<std::string> text_keys;  // in order of preference
  std::string group_key;

  // What the fields of a record said; of a key that comes twice, the last.
  struct Found {
    std::vector<std::optional<std::string_view>> texts;
    std::vector<bool> text_seen;
    std::array<std::string_view, id_keys.size()> ids;
    std::string_view group;
  };
  Found found;

  void reset() {
    found.texts.assign(text_keys.size(), std::nullopt);
    found.text_seen.assign(text_keys.size(), false);
    found.ids.fill({});
    found.group = {};
  }

  // A name: a string, or a number as it is written. Anything else is no name.
  static std::string_view name_of(ondemand::value value) {
    switch (get(value.type())) {
      case ondemand::json_type::string:
        return string_of(value);
      case ondemand::json_type::number: {
        const std::string_view token = trim(value.raw_json_token());
        check_value(value, 0);
        return token;
      }
      default:
        check_value(value, 0);
        return {};
    }
  }

  void take_field(ondemand::field& field) {
    const std::string_view key = get(field.unescaped_key());
    ondemand::value value = field.value();
    const auto text = std::find(text_keys.begin(), text_keys.end(), key);
    const auto id = std::find(id_keys.begin(), id_keys.end(), key);
    const bool is_group = !group_key.empty() && key == group_key;
    if (text == text_keys.end() && id == id_keys.end() && !is_group) {
      check_value(value, 0);
      return;
    }
    // One field may serve twice: as text and as id, as group and as id.
    const bool is_string = get(value.type()) == ondemand::json_type::string;
    const std::string_view name = name_of(value);
    if (text != text_keys.end()) {
      const auto slot = static_cast<std::size_t>(text - text_keys.begin());
      found.text_seen[slot] = true;
      found.texts[slot] = is_string ? std::optional(name) : std::nullopt;
    }
    if (id != id_keys.end()) found.ids[static_cast<std::size_t>(id - id_keys.begin())] = name;
    if (is_group) found.group = name;
  }

  std::string_view text() const {
    for (std::size_t slot = 0; slot < text_keys.size(); ++slot) {
      if (!found.text_seen[slot]) continue;
      if (found.texts[slot]) return *found.texts[slot];
      throw BadRecord{cat("field \"", text_keys[slot], "\" is not a string")};
    }
    std::string names = cat("\"", text_keys[0], "\"");
    for (std::size_t i = 1; i < text_keys.size(); ++i) names += cat(" or \"", text_keys[i], "\"");
    throw BadRecord{cat("no field ", names)};
  }

  void parse(std::string_view line, std::size_t allocated, Document& document) {
    if (line.size() > parser.capacity()) {
      constexpr std::size_t smallest = std::size_t{1} << 20;
      const std::size_t wanted = std::max(2 * parser.capacity(), smallest);
      check(parser.allocate(std::max(line.size(), std::min(wanted, parser.max_capacity()))));
    }
    reset();
    ondemand::document json;
    check(parser.iterate(simdjson::padded_string_view(line.data(), line.size(), allocated))
              .get(json));
    if (get(json.type()) != ondemand::json_type::object) throw BadRecord{"not a JSON object"};
    for (auto field : get(json.get_object())) {
      check(field.error());
      take_field(field.value_unsafe());
    }
    // After the last brace nothing may follow.
    if (json.current_location().error() != simdjson::OUT_OF_BOUNDS) {
      throw BadRecord{"not valid JSON: something follows the object"};
    }
    document.text.assign(text());
    document.group.assign(found.group);
    const auto id =
        std::find_if(found.ids.begin(), found.ids.end(), [](auto s) { return !s.empty(); });
    document.id.assign(id == found.ids.end() ? std::string_view{} : *id);
  }
};

JsonRecordParser::JsonRecordParser(const DocumentOptions& options)
    : impl_(std::make_unique<Impl>()) {
  if (options.field.empty()) {
    impl_->text_keys = {"text", "content"};
  } else {
    impl_->text_keys = {options.field};
  }
  impl_->group_key = options.group_field;
}
JsonRecordParser::~JsonRecordParser() = default;

std::size_t JsonRecordParser::padding() {
  return simdjson::SIMDJSON_PADDING;
}

std::optional<std::string> JsonRecordParser::parse(std::string_view line, std::size_t allocated,
                                                   Document& document) {
  try {
    impl_->parse(line, allocated, document);
    return std::nullopt;
  } catch (const BadRecord& bad) {
    return bad.reason;
  }
}

}  // namespace blt::io
