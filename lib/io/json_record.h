// SPDX-License-Identifier: MIT
// One line of JSON -> one document.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "blt/io/documents.h"

namespace blt::io {

class JsonRecordParser {
 public:
  explicit JsonRecordParser(const DocumentOptions& options);
  ~JsonRecordParser();

  static std::size_t padding();  // readable bytes that must follow a line

  // Fills text, group and, where the record names itself, id (else leaves it empty). `allocated`:
  // bytes readable from line's start, at least its size plus padding(). Returns why the line is no
  // record, or nothing.
  std::optional<std::string> parse(std::string_view line, std::size_t allocated,
                                   Document& document);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace blt::io
