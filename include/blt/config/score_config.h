// SPDX-License-Identifier: MIT
// The options of blt-generate score.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "blt/config/fields.h"
#include "blt/config/model_options.h"

namespace blt {

struct ScoreConfig {
  std::string model;
  std::vector<std::string> inputs;  // empty: standard input
  std::string format = "auto";
  std::string join = " ";
  std::int64_t limit = 0;  // rows of each file; 0: all
  std::string on_error = "fail";
  bool eos = false;

  bool json = false;
  std::string output;  // a line for each row; empty: none
  bool force = false;

  ModelOptions options = {.dtype = "float32"};
};

namespace config {
void describe(Fields& fields, ScoreConfig& c);
}

}  // namespace blt
