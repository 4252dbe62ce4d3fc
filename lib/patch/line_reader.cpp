// SPDX-License-Identifier: MIT
#include "line_reader.h"

#include <cstddef>
#include <span>

#include "blt/base/error.h"

namespace blt::patch {
namespace {

constexpr std::size_t chunk_bytes = 1 << 18;
constexpr std::size_t max_line_bytes = std::size_t{1} << 30;

}  // namespace

LineReader::LineReader(const std::string& path) : path_(path), source_(io::open_source(path)) {}

bool LineReader::fill() {
  buffer_.erase(0, from_);
  scanned_ -= from_;
  from_ = 0;
  if (buffer_.size() > max_line_bytes)
    throw input_error(cat(path_, ":", number_ + 1, ": a line of more than 1 GiB"));
  const std::size_t before = buffer_.size();
  buffer_.resize(before + chunk_bytes);
  const std::size_t count =
      source_->read(std::as_writable_bytes(std::span(buffer_).subspan(before)));
  buffer_.resize(before + count);
  return count > 0;
}

bool LineReader::next(std::string_view& line) {
  while (true) {
    const std::size_t end = buffer_.find('\n', scanned_);
    if (end != std::string::npos) {
      line = std::string_view(buffer_).substr(from_, end - from_);
      from_ = scanned_ = end + 1;
      ++number_;
      return true;
    }
    scanned_ = buffer_.size();
    if (!ended_ && fill()) continue;
    ended_ = true;
    if (from_ == buffer_.size()) return false;
    line = std::string_view(buffer_).substr(from_);
    from_ = scanned_ = buffer_.size();
    ++number_;
    return true;
  }
}

}  // namespace blt::patch
