// SPDX-License-Identifier: MIT
// Typed reads of one key of a JSON object; absent or null gives the default. Errors: input, naming the key.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "blt/base/error.h"
#include "blt/base/json.h"

namespace blt::model {

inline bool is_given(const Json& json, const char* key) { return json.contains(key) && !json[key].is_null(); }

inline std::int64_t integer(const Json& json, const char* key, std::int64_t otherwise) {
  constexpr double limit = 9e18;
  if (!is_given(json, key)) return otherwise;
  const Json& value = json[key];
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(limit)) {
    throw input_error(cat("'", key, "' is out of range"));
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number_float() && std::abs(value.get<double>()) < limit) return static_cast<std::int64_t>(value.get<double>());
  throw input_error(cat("'", key, "' is not a whole number"));
}
inline double number(const Json& json, const char* key, double otherwise) {
  if (!is_given(json, key)) return otherwise;
  if (!json[key].is_number()) throw input_error(cat("'", key, "' is not a number"));
  return json[key].get<double>();
}
inline bool boolean(const Json& json, const char* key, bool otherwise) {
  if (!is_given(json, key)) return otherwise;
  if (!json[key].is_boolean()) throw input_error(cat("'", key, "' is not true or false"));
  return json[key].get<bool>();
}
inline std::string text(const Json& json, const char* key, const char* otherwise) {
  if (!is_given(json, key)) return otherwise;
  if (!json[key].is_string()) throw input_error(cat("'", key, "' is not a text"));
  return json[key].get<std::string>();
}
inline Json object(const Json& json, const char* key) {
  if (!is_given(json, key)) return Json::object();
  if (!json[key].is_object()) throw input_error(cat("'", key, "' is not an object"));
  return json[key];
}

}  // namespace blt::model
