// SPDX-License-Identifier: MIT
// The stages through which documents go, part after part, into shards.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "blt/patch/corpus.h"
#include "blt/patch/entropy_source.h"
#include "blt/patch/pipeline.h"
#include "partial_folder.h"

namespace blt::patch {

struct StageOptions {
  Rules rules;
  shard::WriterOptions writer;
  EntropySource* source = nullptr;  // null: entropies are not wanted
  std::uint64_t batch_bytes = 0;    // document bytes that pass through the stages at once
  std::string folder;               // of the shards
};

// What a batch of documents adds.
struct BatchCounts {
  std::uint64_t corpus_bytes = 0;  // read from disk for all parts so far
  std::uint64_t documents = 0, bytes = 0, patches = 0;
};

struct StageEvents {
  // Each by one thread at a time, in the order of the documents.
  std::function<std::unique_ptr<Corpus>(std::size_t part)> open;
  std::function<void(const BatchCounts& batch)> written;
  // By several threads at once: the part's shards are on disk.
  std::function<void(std::size_t part, const PartRecord& record)> done;
};

// Does the parts in order; a part begins while the ones before it are still being written. Ends
// early at a stop signal: what is not told as done is not.
void run_stages(const StageOptions& options, const std::vector<std::size_t>& parts,
                const StageEvents& events);

}  // namespace blt::patch
