// SPDX-License-Identifier: MIT
// Parts of corpus files that can be read apart from each other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "blt/io/documents.h"

namespace blt::io {

// Where a plain file of lines (format jsonl, or text with split_lines) can be cut into ranges of
// about `range_bytes`: the offsets, ascending, of lines inside the file. None for other files, and
// for one that cannot be read: whoever reads it tells why.
std::vector<std::uint64_t> line_cuts(const std::string& path, std::uint64_t file_bytes,
                                     std::uint64_t range_bytes, const DocumentOptions& options);

// Numbers of lines for readers that begin in the middle of a file. Counts on from the place that
// was asked or told last, so that ascending places cost one pass over the file.
class LineCounter {
 public:
  // Lines of the file that end before `offset`. Errors: input.
  std::uint64_t lines_before(const std::string& path, std::uint64_t offset);
  void tell(const std::string& path, std::uint64_t offset, std::uint64_t lines);

 private:
  std::string path_;
  std::uint64_t offset_ = 0, lines_ = 0;
};

}  // namespace blt::io
