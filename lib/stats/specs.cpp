// SPDX-License-Identifier: MIT
#include "specs.h"

#include <charconv>
#include <cmath>
#include <filesystem>

#include "blt/base/error.h"

namespace blt::stats {
namespace {

using patch::Scheme;

bool has_size(Scheme scheme) {
  return scheme == Scheme::strided || scheme == Scheme::topk;
}

double read_number(std::string_view text) {
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size() || !std::isfinite(value)) {
    throw usage_error(cat("'", text, "' is not a number"));
  }
  return value;
}

void set_size(double value, SchemeSpec& spec) {
  if (value < 1) throw usage_error("a patch size is at least 1 byte");
  if (patch::has_threshold(spec.rules.scheme)) {
    if (value <= 1) throw usage_error("a fitted mean patch size is above 1 byte");
    spec.fit_size = value;
  } else if (has_size(spec.rules.scheme)) {
    spec.rules.patch_size = value;
  } else {
    throw usage_error("this scheme takes no size");
  }
}

void set_key(std::string_view key, double value, SchemeSpec& spec) {
  if (key == "size") return set_size(value, spec);
  if (key == "max") {
    if (value < 1 || value != std::floor(value) || value > 1e9)
      throw usage_error("max is a whole number of at least 1");
    spec.rules.max_patch_length = static_cast<std::int64_t>(value);
  } else if (key == "threshold" && patch::has_threshold(spec.rules.scheme)) {
    spec.rules.threshold = value;
  } else if (key == "add" && spec.rules.scheme == Scheme::combined) {
    spec.rules.threshold_add = value;
  } else {
    throw usage_error(cat("this scheme has no '", key, "'"));
  }
}

void set_item(std::string_view item, SchemeSpec& spec) {
  if (const auto equals = item.find('='); equals != std::string_view::npos) {
    return set_key(item.substr(0, equals), read_number(item.substr(equals + 1)), spec);
  }
  const double value = read_number(item);
  if (patch::has_threshold(spec.rules.scheme))
    spec.rules.threshold = value;
  else
    set_size(value, spec);
}

}  // namespace

SchemeSpec parse_scheme_spec(std::string_view text) {
  return with_context(cat("--scheme ", text), [&] {
    SchemeSpec spec;
    spec.text = text;
    const auto colon = text.find(':');
    spec.rules.scheme = patch::parse_scheme(text.substr(0, colon));
    for (std::string_view rest = colon == std::string_view::npos ? "" : text.substr(colon);
         !rest.empty();) {
      rest.remove_prefix(1);
      const auto end = rest.find_first_of(":,");
      set_item(rest.substr(0, end), spec);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end);
    }
    return spec;
  });
}

TokenizerSpec parse_tokenizer_spec(std::string_view text) {
  TokenizerSpec spec;
  std::string_view rest = text;
  if (const auto equals = rest.find('=');
      equals != std::string_view::npos && rest.find('/') > equals) {
    spec.name = rest.substr(0, equals);
    rest.remove_prefix(equals + 1);
  }
  spec.path = rest;
  spec.split = "auto";
  const auto colon = rest.rfind(':');
  if (colon != std::string_view::npos && rest.find('/', colon) == std::string_view::npos &&
      !std::filesystem::exists(spec.path)) {
    spec.split = rest.substr(colon + 1);
    spec.path = rest.substr(0, colon);
  }
  if (spec.path.empty()) throw usage_error(cat("--tokenizer ", text, ": the file is missing"));
  if (spec.name.empty()) spec.name = std::filesystem::path(spec.path).stem().string();
  return spec;
}

}  // namespace blt::stats
