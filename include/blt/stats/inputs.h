// SPDX-License-Identifier: MIT
// Documents for reports, out of corpus files and shards alike.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "blt/base/json.h"
#include "blt/base/reporter.h"
#include "blt/io/documents.h"

namespace blt {
struct StatsInputs;
}

namespace blt::stats {

struct InputDocument {
  io::Document document;
  bool sharded = false;                      // the next two are those of a shard
  std::vector<std::uint32_t> patch_lengths;  // over BOS + bytes + EOS
  std::vector<float> entropies;              // of the same positions, nats; may be empty
};

class InputReader {
 public:
  explicit InputReader(const StatsInputs& inputs);  // errors: input
  ~InputReader();
  bool next(InputDocument& out);  // in the order of the inputs; errors: input
  bool has_shards() const;
  bool has_entropies() const;  // every input is shards that carry them
  Json patching() const;       // of the first shards; null without
  std::uint64_t skipped() const;
  // For progress: bytes of files and of shard documents.
  std::uint64_t done() const;
  std::uint64_t total() const;  // 0: not known

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Tells of records that --on-error skip left out.
void warn_skipped(const InputReader& reader, Reporter& reporter);

}  // namespace blt::stats
