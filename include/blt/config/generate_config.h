// SPDX-License-Identifier: MIT
// The options of blt-generate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "blt/config/fields.h"
#include "blt/config/model_options.h"

namespace blt {

struct GenerateConfig {
  std::string model;
  std::vector<std::string> prompts;
  std::vector<std::string> prompt_files;  // "-": standard input
  std::string rows;                       // JSON lines of prompts; "-": standard input; empty: none
  std::int64_t batch = 0;                 // rows at once; 0: as many as there are threads

  std::int64_t max_bytes = 256;
  std::vector<std::string> stop;
  bool ignore_eos = false;

  bool greedy = false;
  double temperature = 1;
  std::int64_t top_k = 0;  // 0: off
  double top_p = 1, min_p = 0;
  std::optional<std::int64_t> seed;

  // At most one of these; they say what the text may be.
  std::optional<std::string> grammar, json_schema, regex, choices;  // json_schema: a file
  bool utf8 = false;

  bool echo = false;
  bool raw = false;
  bool show_patches = false;
  bool json = false;
  std::string output;  // empty: standard output
  bool force = false;

  ModelOptions options = {.dtype = "float32"};
  std::string engine = "cached";
  std::string speculate = "off";       // off, auto, heads, latent, lookup
  std::optional<std::int64_t> draft;   // ids drafted together
};

// What the options do not say one by one. Errors: usage.
void check(const GenerateConfig& config);

namespace config {
void describe(Fields& fields, GenerateConfig& c);
}

}  // namespace blt
