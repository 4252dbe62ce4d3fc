// SPDX-License-Identifier: MIT
// Lines of a byte source, with the spare bytes behind each that simdjson needs, and never more
// memory than a limit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "blt/io/source.h"

namespace blt::io {

class LineReader {
 public:
  // A line may hold at most max_bytes; `padding` readable bytes follow each line.
  LineReader(ByteSource& source, std::uint64_t max_bytes, std::size_t padding);

  enum class Result { line, too_long, end };
  // The line without its newline; valid until the next call. A line that is too long is passed over
  // whole.
  Result next(std::string_view& line);
  // Number of the line last told, from 1.
  std::uint64_t number() const { return number_; }
  // Bytes readable from the line's start.
  std::size_t allocated(std::string_view line) const;

 private:
  bool fill();  // false at the end of the source
  Result take(std::size_t line_end, std::size_t next_begin, std::string_view& line);

  ByteSource& source_;
  std::uint64_t max_bytes_;
  std::size_t padding_;
  std::string buffer_;  // [begin_, end_) is not told yet; always padding_ bytes longer than end_
  std::size_t begin_ = 0, end_ = 0, searched_ = 0;
  bool dropping_ = false;  // in the middle of a line that is too long
  bool source_ended_ = false;
  std::uint64_t number_ = 0;
};

}  // namespace blt::io
