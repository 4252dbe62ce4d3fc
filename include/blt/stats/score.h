// SPDX-License-Identifier: MIT
// What a model says of texts: bits per byte, and traces of its internals.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "blt/base/json.h"
#include "blt/base/reporter.h"

namespace blt {
class Scorer;
struct BpbConfig;
struct TraceConfig;
}  // namespace blt

namespace blt::stats {

struct BpbReport {
  struct Group {
    std::string name;  // empty: all documents
    std::uint64_t documents = 0, bytes = 0;
    double nats = 0;               // the sum of -log p over the targets
    std::uint64_t patches = 0;     // over text bytes; 0 for a byte LM
    double bits_per_byte() const;  // nats / (ln 2 x bytes)
    double patch_size() const;     // bytes a patch
  };
  struct Compressor {
    std::string name;
    std::uint64_t bytes = 0;  // compressed
    double bits_per_byte = 0;
  };
  std::string kind;  // of the model
  bool eos = false;  // EOS counted
  Group all;
  std::vector<Group> groups;
  std::vector<Compressor> compressors;
};

// Errors: input (no documents left by the split, no bytes).
BpbReport measure_bpb(const BpbConfig& config, Scorer& scorer, Reporter& reporter);
Json to_json(const BpbReport& report);
std::string to_text(const BpbReport& report);

struct TraceCounts {
  std::uint64_t documents = 0, positions = 0;
};
// Writes i.ids (int64), i.entropies (float32, nats), i.patch_lengths (int64) and i.logits (float32
// [T, 260]) of document i; what the model has not is left out. Metadata: the documents' ids.
// Errors: input (too much text), output.
TraceCounts write_trace(const TraceConfig& config, Scorer& scorer, Reporter& reporter);

}  // namespace blt::stats
