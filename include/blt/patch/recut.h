// SPDX-License-Identifier: MIT
// Shards -> shards with other patches, from the entropies that they keep: no model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "blt/patch/pipeline.h"

namespace blt::patch {

struct RecutOptions {
  std::vector<std::string> shards;  // folders, or single shard files
  std::string output;
  bool force = false;
  bool dry_run = false;  // check everything, read and write no documents
  Rules rules;
  std::optional<double>
      mean_patch_size;  // fit the threshold to it instead of taking rules.threshold
  std::uint64_t sample_bytes = 1 << 20;
  std::uint64_t seed = 0;
  bool drop_entropies = false;  // else they are kept as they are
  shard::WriterOptions writer;  // entropies and their type are the shards' own
  std::uint64_t batch_bytes = 1 << 20;
};

// Cuts the documents of shards anew, in order, and writes them as make_shards does. The manifest's
// "extra" tells the shards that they came from. Errors: usage (a scheme that needs entropies, and
// shards without; entropies that differ in kind), input, output, resource.
PipelineResult recut_shards(const RecutOptions& options, Reporter& reporter);

}  // namespace blt::patch
