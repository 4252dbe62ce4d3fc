// SPDX-License-Identifier: MIT
// What shards and models are.
#pragma once

#include <string>

#include "blt/base/json.h"
#include "blt/base/reporter.h"
#include "blt/stats/lengths.h"

namespace blt::stats {

struct ShardFacts {
  std::uint64_t documents = 0, bytes = 0, patches = 0, shards = 0, file_bytes = 0;
  bool has_entropies = false;
  Json patching, entropy_model;
  LengthCounts document_bytes;
  LengthCounts patch_lengths;  // over text bytes
  double entropy_mean = 0;     // nats, over all positions; 0 without entropies
};

// Reads every document. Errors: input.
ShardFacts read_shard_facts(const std::string& folder, Reporter& reporter);
Json to_json(const ShardFacts& facts);
std::string to_text(const ShardFacts& facts);

// "key  value" lines; nested objects as dotted keys.
std::string facts_text(const Json& facts);

}  // namespace blt::stats
