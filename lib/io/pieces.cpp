// SPDX-License-Identifier: MIT
#include "blt/io/pieces.h"

#include <algorithm>

#include "blt/base/error.h"
#include "blt/io/source.h"

namespace blt::io {
namespace {

constexpr std::size_t window_bytes = std::size_t{256} << 10;

// The offset at which the first line begins at or behind `offset`; `end` when there is none.
std::uint64_t line_start(const std::string& path, std::uint64_t offset, std::uint64_t end) {
  std::string window(4096, '\0');
  const auto source = open_range(path, offset - 1, end);
  for (std::uint64_t at = offset - 1;;) {
    const std::size_t got = source->read(std::as_writable_bytes(std::span(window)));
    if (got == 0) return end;
    const auto newline = std::string_view(window).substr(0, got).find('\n');
    if (newline != std::string_view::npos) return at + newline + 1;
    at += got;
  }
}

}  // namespace

std::vector<std::uint64_t> line_cuts(const std::string& path, std::uint64_t file_bytes,
                                     std::uint64_t range_bytes, const DocumentOptions& options) {
  std::vector<std::uint64_t> cuts;
  try {
    if (file_bytes <= range_bytes || !has_lines(options, path) || is_compressed(path)) return {};
    // Ranges of one size: no rest that would make a small shard.
    const std::uint64_t count = (file_bytes + range_bytes - 1) / range_bytes;
    const std::uint64_t size = file_bytes / count, rest = file_bytes % count;
    for (std::uint64_t i = 1; i < count; ++i) {
      const std::uint64_t wished = i * size + std::min(i, rest);
      if (!cuts.empty() && wished <= cuts.back()) continue;  // inside a long line
      const std::uint64_t cut = line_start(path, wished, file_bytes);
      if (cut < file_bytes) cuts.push_back(cut);
    }
  } catch (const Error&) {
    return {};
  }
  return cuts;
}

std::uint64_t LineCounter::lines_before(const std::string& path, std::uint64_t offset) {
  if (path != path_ || offset < offset_) tell(path, 0, 0);
  if (offset == offset_) return lines_;
  std::string window(window_bytes, '\0');
  const auto source = open_range(path, offset_, offset);
  for (;;) {
    const std::size_t got = source->read(std::as_writable_bytes(std::span(window)));
    if (got == 0) break;
    lines_ += static_cast<std::uint64_t>(
        std::count(window.begin(), window.begin() + static_cast<std::ptrdiff_t>(got), '\n'));
  }
  offset_ = offset;
  return lines_;
}

void LineCounter::tell(const std::string& path, std::uint64_t offset, std::uint64_t lines) {
  path_ = path;
  offset_ = offset;
  lines_ = lines;
}

}  // namespace blt::io
