// SPDX-License-Identifier: MIT
#include "blt/base/units.h"

#include <array>
#include <charconv>
#include <cmath>

namespace blt {
namespace {

std::optional<double> multiplier(std::string_view suffix) {
  if (!suffix.empty() && (suffix.back() == 'B' || suffix.back() == 'b')) suffix.remove_suffix(1);
  if (suffix.empty()) return 1;
  const bool binary = suffix.size() == 2 && (suffix[1] == 'i' || suffix[1] == 'I');
  if (suffix.size() > 1 && !binary) return std::nullopt;
  const double base = binary ? 1024 : 1000;
  switch (suffix[0]) {
    case 'k': case 'K': return base;
    case 'm': case 'M': return base * base;
    case 'g': case 'G': return base * base * base;
    case 't': case 'T': return base * base * base * base;
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<std::int64_t> parse_size(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (!suffix.empty() && suffix.front() == ' ') suffix.remove_prefix(1);
  const auto factor = multiplier(suffix);
  if (!factor) return std::nullopt;
  if (*factor == 1) {  // exact for all 64-bit integers
    std::int64_t exact = 0;
    const auto [stop, bad] = std::from_chars(text.data(), text.data() + text.size(), exact);
    if (bad == std::errc() && stop == end) return exact;
  }
  const double value = number * *factor;
  if (value != std::floor(value) || std::abs(value) >= 9.2e18) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

std::string format_fixed(double value, int digits) {
  std::array<char, 400> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, digits);
  return {buffer.data(), result.ptr};
}

std::string format_double(double value) {
  std::array<char, 64> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), result.ptr};
}

std::string format_bytes(double bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(units)) {
    bytes /= 1024;
    ++unit;
  }
  return format_fixed(bytes, unit == 0 ? 0 : bytes < 100 ? 1 : 0) + " " + units[unit];
}

std::string format_count(double count) {
  constexpr const char* units[] = {"", "k", "M", "G", "T"};
  std::size_t unit = 0;
  while (count >= 1000 && unit + 1 < std::size(units)) {
    count /= 1000;
    ++unit;
  }
  return format_fixed(count, unit == 0 ? 0 : count < 100 ? 1 : 0) + units[unit];
}

std::string format_seconds(double seconds) {
  if (seconds < 60) return format_fixed(seconds, 1) + " s";
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 3600) return std::to_string(whole / 60) + " min " + std::to_string(whole % 60) + " s";
  return std::to_string(whole / 3600) + " h " + std::to_string(whole % 3600 / 60) + " min";
}

}  // namespace blt
