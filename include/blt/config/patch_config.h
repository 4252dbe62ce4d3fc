// SPDX-License-Identifier: MIT
// The options of blt-patch, one struct a command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "blt/config/fields.h"
#include "blt/config/model_options.h"

namespace blt {

struct PatchCorpusConfig {
  std::vector<std::string> inputs;
  std::string format = "auto";
  bool split_lines = false;
  std::string field;
  std::string group_field;
  std::string on_error = "fail";
  double held_out = 0;
  std::string split = "all";
};

struct PatchRulesConfig {
  std::string scheme = "entropy";
  std::optional<double> threshold;  // nats
  double threshold_add = 0;         // nats
  std::optional<double> patch_size;
  std::optional<std::int64_t> max_patch_length;
  bool newline_reset = false;
};

struct PatchModelConfig {
  std::string entropy_model;
  ModelOptions options;
};

struct PatchConfig {
  PatchCorpusConfig corpus;
  PatchRulesConfig rules;
  PatchModelConfig model;
  std::string output;
  bool force = false;
  bool dry_run = false;
  std::optional<std::int64_t> rank, world_size;  // else as the launcher says
  std::int64_t shard_size = std::int64_t{256} << 20;
  bool keep_entropies = false;
  std::string entropy_type = "float16";
  std::int64_t level = 3;
  std::int64_t sample_size = std::int64_t{1} << 20;
  std::int64_t seed = 0;
  bool json = false;
};

struct CutConfig {
  std::vector<std::string> inputs;
  PatchRulesConfig rules;
  bool include_next = false;
  bool eos = false;
  bool training_form = false;
  std::string on_error = "fail";
};

struct ShowConfig {
  PatchCorpusConfig corpus;
  PatchRulesConfig rules;
  PatchModelConfig model;
  std::int64_t limit = 10;
  std::int64_t max_bytes = 2000;
  bool json = false;
};

struct CatConfig {
  std::vector<std::string> inputs;
  bool entropies = false;
  std::int64_t skip = 0;
  std::int64_t limit = 0;
};

struct VerifyConfig {
  std::vector<std::string> folders;
  bool json = false;
};

struct RecutConfig {
  std::vector<std::string> inputs;
  PatchRulesConfig rules;
  std::string output;
  bool force = false;
  bool dry_run = false;
  std::int64_t shard_size = std::int64_t{256} << 20;
  bool drop_entropies = false;
  std::int64_t level = 3;
  std::int64_t sample_size = std::int64_t{1} << 20;
  std::int64_t seed = 0;
  bool json = false;
};

struct ExportConfig {
  std::vector<std::string> inputs;
  std::string to;
  std::string output;
  bool force = false;
  std::string on_error = "fail";
};

struct CalibrateConfig {
  PatchCorpusConfig corpus;
  PatchModelConfig model;
  std::vector<std::string> schemes = {"entropy", "monotonic", "combined"};
  std::vector<double> patch_sizes = {3, 4, 4.5, 6, 8};
  double threshold_add = 0;
  std::optional<std::int64_t> max_patch_length;
  bool newline_reset = false;
  bool compare_dtypes = false;
  std::int64_t sample_size = std::int64_t{1} << 20;
  std::int64_t seed = 0;
  bool json = false;
};

namespace config {

void describe(Fields& fields, PatchConfig& c);
void describe(Fields& fields, CutConfig& c);
void describe(Fields& fields, ShowConfig& c);
void describe(Fields& fields, CatConfig& c);
void describe(Fields& fields, VerifyConfig& c);
void describe(Fields& fields, RecutConfig& c);
void describe(Fields& fields, ExportConfig& c);
void describe(Fields& fields, CalibrateConfig& c);

}  // namespace config
}  // namespace blt
