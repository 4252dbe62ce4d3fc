// SPDX-License-Identifier: MIT
// A plain text table: left-aligned first column, right-aligned others, two spaces between.
#pragma once

#include <string>
#include <vector>

namespace blt {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace blt
