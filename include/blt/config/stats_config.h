// SPDX-License-Identifier: MIT
// The options of blt-stats, one struct a command.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "blt/config/fields.h"
#include "blt/config/model_options.h"

namespace blt {

// What most commands read: corpus files and folders of shards, told apart by manifest.json.
struct StatsInputs {
  std::vector<std::string> inputs;
  std::string format = "auto";
  bool split_lines = false;
  std::string field;
  std::string group_field;
  std::string on_error = "fail";
};

struct LengthsConfig {
  StatsInputs input;
  ModelOptions options;
  std::vector<std::string> schemes;     // "space", "strided:4", "entropy:threshold=1.3", ...
  std::vector<std::string> tokenizers;  // "[NAME=]FILE[:SPLIT]"
  std::string model;                    // entropies for the schemes that need them
  std::int64_t sample_size = std::int64_t{1} << 20;  // bytes on which thresholds are fitted
  std::int64_t seed = 0;                               // of the choice of the sample
  std::string svg;
  bool force = false;
  bool json = false;
};

struct TokensConfig {
  StatsInputs input;
  std::string tokenizer;
};

struct TraceConfig {
  std::string model;
  StatsInputs input;
  ModelOptions options;
  std::string output;
  bool force = false;
  bool logits = true;
  bool eos = false;
  std::int64_t max_bytes = 1 << 20;
};

struct BpbConfig {
  std::string model;
  StatsInputs input;
  ModelOptions options;
  std::string split = "all";
  double held_out = 0.05;
  bool eos = false;
  bool compare = false;
  bool json = false;
};

struct ShardFactsConfig {
  std::string folder;
  bool json = false;
};

struct ModelFactsConfig {
  std::string model;
  ModelOptions options;
  bool json = false;
};

namespace config {

void describe(Fields& fields, LengthsConfig& c);
void describe(Fields& fields, TokensConfig& c);
void describe(Fields& fields, TraceConfig& c);
void describe(Fields& fields, BpbConfig& c);
void describe(Fields& fields, ShardFactsConfig& c);
void describe(Fields& fields, ModelFactsConfig& c);

}  // namespace config
}  // namespace blt
