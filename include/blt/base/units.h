// SPDX-License-Identifier: MIT
// Sizes, counts and times as people write and read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace blt {

// "10", "10k", "1.5M", "256MiB", "1.5GB", "2g" -> a whole number (k, M, G, T are decimal; Ki, Mi, Gi, Ti binary).
// nullopt when the text is no such number or does not fit.
std::optional<std::int64_t> parse_size(std::string_view text);

std::string format_bytes(double bytes);       // "12.3 MiB"
std::string format_count(double count);       // "12.3k"
std::string format_seconds(double seconds);   // "3.2 s", "4 min 10 s", "2 h 5 min"
std::string format_fixed(double value, int digits);  // locale-free
// The shortest text that reads back as the same double.
std::string format_double(double value);

}  // namespace blt
