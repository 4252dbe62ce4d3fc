// SPDX-License-Identifier: MIT
// Corpus -> shards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "blt/base/json.h"
#include "blt/base/ranks.h"
#include "blt/base/reporter.h"
#include "blt/patch/calibrate.h"
#include "blt/patch/corpus.h"
#include "blt/patch/entropy_source.h"
#include "blt/patch/rules.h"
#include "blt/shard/shard.h"

namespace blt::patch {

struct PipelineOptions {
  CorpusOptions corpus;
  std::string output;
  bool force = false;
  bool dry_run = false;  // check everything, read and write no documents
  Rules rules;
  std::optional<double>
      mean_patch_size;  // fit the threshold to it instead of taking rules.threshold
  std::uint64_t sample_bytes = 1 << 20;
  std::uint64_t seed = 0;
  std::string entropy_model;
  ModelOptions model;
  shard::WriterOptions writer;
  std::uint64_t batch_bytes = 1 << 20;  // document bytes that pass through the pipeline at once
  Ranks ranks;                          // which of how many processes that share the work
};

struct PipelineResult {
  std::vector<std::string> files;  // of the corpus
  std::uint64_t file_bytes = 0;    // of them, compressed; 0: not known
  // Of the whole run when it is complete, else of this rank's parts.
  std::uint64_t documents = 0, bytes = 0, patches = 0;
  std::uint64_t skipped = 0;   // records and files left out by on_error = skip
  std::uint64_t left_out = 0;  // documents of the corpus' other half
  std::uint64_t shards = 0, shard_bytes = 0;
  std::optional<Calibration> calibration;
  Rules rules;  // with the threshold in force
  double seconds = 0;
  Ranks ranks;
  std::size_t parts = 0, parts_done = 0;  // into which the work is cut; done by all ranks
  bool complete = false;                  // options.output is there
  int signal = 0;                         // the signal that stopped it

  double mean_patch_size() const {
    return patches ? static_cast<double>(bytes) / static_cast<double>(patches) : 0;
  }
};

// Reads documents, cuts them over BOS + bytes + EOS and writes shards to options.output, which
// appears whole or not at all. Until then the run's parts lie in options.output + ".partial"; when it
// is cut off, the same options go on with the parts that are missing, and others are refused. Of
// options.ranks.size processes each does its share of the parts, and the one that does the last
// completes the output. What is written does not depend on threads, ranks or interruptions.
// `source` may be null: then options.entropy_model is opened when the scheme needs it. Errors: usage,
// input, output, resource. The output path and the options are checked before anything long.
PipelineResult make_shards(const PipelineOptions& options, EntropySource* source,
                           Reporter& reporter);

// The rules as manifests tell them; null where a scheme does not use a value.
Json rules_json(const Rules& rules);
Json to_json(const PipelineResult& result);

}  // namespace blt::patch
