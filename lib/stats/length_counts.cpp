// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>

#include "blt/stats/lengths.h"

namespace blt::stats {
namespace {

constexpr std::uint64_t small_bound = 4096;  // values below are counted in a plain array

}  // namespace

void LengthCounts::add(std::uint64_t length, std::uint64_t count) {
  if (count == 0) return;
  if (length < small_bound) {
    if (small_.size() <= length) small_.resize(length + 1);
    small_[length] += count;
  } else {
    large_[length] += count;
  }
  count_ += count;
  total_ += length * count;
}

void LengthCounts::add(const LengthCounts& other) {
  for (std::size_t length = 0; length < other.small_.size(); ++length)
    add(length, other.small_[length]);
  for (const auto& [length, count] : other.large_) add(length, count);
}

double LengthCounts::mean() const {
  return count_ == 0 ? 0 : static_cast<double>(total_) / static_cast<double>(count_);
}

std::uint64_t LengthCounts::nth(std::uint64_t index) const {
  for (std::size_t length = 0; length < small_.size(); ++length) {
    if (index < small_[length]) return length;
    index -= small_[length];
  }
  for (const auto& [length, count] : large_) {
    if (index < count) return length;
    index -= count;
  }
  return max();
}

double LengthCounts::median() const {
  if (count_ == 0) return 0;
  return (static_cast<double>(nth((count_ - 1) / 2)) + static_cast<double>(nth(count_ / 2))) / 2;
}

std::uint64_t LengthCounts::percentile(double p) const {
  if (count_ == 0) return 0;
  const double rank = std::ceil(p / 100 * static_cast<double>(count_));
  return nth(rank < 1 ? 0 : std::min(count_, static_cast<std::uint64_t>(rank)) - 1);
}

std::uint64_t LengthCounts::max() const {
  if (!large_.empty()) return large_.rbegin()->first;
  return small_.empty() ? 0 : small_.size() - 1;
}

std::map<std::uint64_t, std::uint64_t> LengthCounts::histogram() const {
  std::map<std::uint64_t, std::uint64_t> out = large_;
  for (std::size_t length = 0; length < small_.size(); ++length) {
    if (small_[length] > 0) out[length] = small_[length];
  }
  return out;
}

void add_text_lengths(std::span<const std::uint32_t> lengths, std::uint64_t front,
                      std::uint64_t back, LengthCounts& out) {
  std::uint64_t text = 0;
  for (const std::uint32_t length : lengths) text += length;
  text -= std::min(text, front + back);
  for (std::uint64_t length : lengths) {
    const std::uint64_t dropped = std::min(front, length);
    front -= dropped;
    length = std::min(length - dropped, text);
    text -= length;
    if (length > 0) out.add(length);
  }
}

Json lengths_json(const LengthCounts& lengths, bool histogram) {
  Json out = {{"count", lengths.count()},      {"mean", lengths.mean()},
              {"median", lengths.median()},    {"p90", lengths.percentile(90)},
              {"p99", lengths.percentile(99)}, {"max", lengths.max()}};
  if (histogram) {
    Json& counts = out["histogram"] = Json::object();
    // Not counts[key]: an ordered object looks up linearly, and document sizes give many keys.
    for (const auto& [length, count] : lengths.histogram()) {
      counts.get_ref<Json::object_t&>().push_back({std::to_string(length), count});
    }
  }
  return out;
}

}  // namespace blt::stats
