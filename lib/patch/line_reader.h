// SPDX-License-Identifier: MIT
// Lines of a byte source, one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "blt/io/source.h"

namespace blt::patch {

class LineReader {
 public:
  explicit LineReader(const std::string& path);  // errors: input
  // The next line without its newline, valid until the next call. False at the end. Errors: input
  // (a line over 1 GiB).
  bool next(std::string_view& line);
  std::uint64_t number() const { return number_; }  // of the last line, from 1

 private:
  bool fill();

  std::string path_;
  std::unique_ptr<io::ByteSource> source_;
  std::string buffer_;
  std::size_t from_ = 0;     // what of the buffer is used up
  std::size_t scanned_ = 0;  // what of the buffer is known to hold no newline
  std::uint64_t number_ = 0;
  bool ended_ = false;
};

}  // namespace blt::patch
