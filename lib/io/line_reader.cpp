// SPDX-License-Identifier: MIT
#include "line_reader.h"

#include <algorithm>
#include <cstring>

namespace blt::io {
namespace {
constexpr std::size_t first_bytes = std::size_t{1} << 18;
}

LineReader::LineReader(ByteSource& source, std::uint64_t max_bytes, std::size_t padding)
    : source_(source),
      max_bytes_(max_bytes),
      padding_(padding),
      buffer_(first_bytes + padding, '\0') {}

std::size_t LineReader::allocated(std::string_view line) const {
  return buffer_.size() - static_cast<std::size_t>(line.data() - buffer_.data());
}

bool LineReader::fill() {
  if (source_ended_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    searched_ -= begin_;
    begin_ = 0;
  }
  if (end_ + padding_ >= buffer_.size()) buffer_.resize(2 * (buffer_.size() - padding_) + padding_);
  const std::size_t room = buffer_.size() - padding_ - end_;
  const std::size_t got =
      source_.read(std::as_writable_bytes(std::span(buffer_.data() + end_, room)));
  end_ += got;
  source_ended_ = got == 0;
  return got > 0;
}

LineReader::Result LineReader::take(std::size_t line_end, std::size_t next_begin,
                                    std::string_view& line) {
  line = std::string_view(buffer_).substr(begin_, line_end - begin_);
  const bool too_long = dropping_ || line.size() > max_bytes_;
  begin_ = searched_ = next_begin;
  dropping_ = false;
  ++number_;
  return too_long ? Result::too_long : Result::line;
}

LineReader::Result LineReader::next(std::string_view& line) {
  for (;;) {
    const char* start = buffer_.data() + searched_;
    if (const void* newline =
            end_ > searched_ ? std::memchr(start, '\n', end_ - searched_) : nullptr) {
      const auto at = static_cast<std::size_t>(static_cast<const char*>(newline) - buffer_.data());
      return take(at, at + 1, line);
    }
    searched_ = end_;
    if (end_ - begin_ > max_bytes_) {
      dropping_ = true;
      begin_ = end_;
    }
    if (!fill()) {
      if (begin_ == end_ && !dropping_) return Result::end;
      return take(end_, end_, line);
    }
  }
}

}  // namespace blt::io
