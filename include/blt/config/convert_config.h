// SPDX-License-Identifier: MIT
// Options of blt-train convert and blt-train init-from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "blt/config/fields.h"

namespace blt {

struct ConvertConfig {
  std::string input;
  std::string output;
  std::string to = "hf";       // hf, meta, meta-hub
  std::string dtype = "same";  // same, float32, bfloat16, float16
  std::string entropy_model;   // a BLT's, where it is not in its own folder
  bool force = false, dry_run = false;
};

struct InitFromConfig {
  std::string input;  // a token model in the Hugging Face layout
  std::string output;
  std::string preset;  // of the local models; empty: by the latent width
  std::optional<std::int64_t> cross_k, hash_rows, window;
  std::int64_t seed = 1;
  bool force = false, dry_run = false;
};

namespace config {
void describe(Fields& fields, ConvertConfig& c);
void describe(Fields& fields, InitFromConfig& c);
}  // namespace config

}  // namespace blt
