// SPDX-License-Identifier: MIT
// Cut documents, out of shards or straight from a corpus.
#pragma once

#include <memory>
#include <string>

#include "blt/patch/corpus.h"
#include "blt/patch/entropy_source.h"
#include "blt/patch/rules.h"
#include "blt/shard/shard.h"

namespace blt::patch {

// A folder with a manifest.json, or a .bltz file.
bool is_shards(const std::string& path);

// Documents of shards as they were cut, or of corpus files cut now. The inputs are all of one kind
// (errors: usage).
class Records {
 public:
  // `source` may be null for shards and for schemes without entropies; it must outlive this.
  Records(const CorpusOptions& corpus, const Rules& rules, EntropySource* source);
  ~Records();
  bool next(shard::Record& record);  // errors: input

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Errors: usage (the shards of this manifest hold no entropies, or entropies of another newline_reset).
void require_entropies(const std::string& folder, const shard::Manifest& manifest,
                       bool newline_reset);

// A sample for calibrate() out of shards that hold entropies. Errors: as require_entropies; input.
Sample sample_shards(const std::vector<std::string>& folders, bool newline_reset,
                     std::uint64_t bytes, std::uint64_t seed);

}  // namespace blt::patch
