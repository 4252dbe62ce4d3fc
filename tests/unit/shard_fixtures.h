// SPDX-License-Identifier: MIT
// Documents and folders of shards for tests.
#pragma once

#include "blt/base/random.h"
#include "blt/shard/shard.h"
#include "io_fixtures.h"

namespace blt::test {

// A document of so many random bytes, its positions cut into patches of random lengths.
inline shard::Record random_record(Random& random, std::size_t size, bool entropies) {
  shard::Record record;
  record.id = cat("doc-", random.below(1'000'000));
  if (random.below(3) > 0) record.group = random.below(2) == 0 ? "de" : "ja";
  for (std::size_t i = 0; i < size; ++i) {
    record.text +=
        static_cast<char>(random.below(4) == 0 ? random.below(256) : 'a' + random.below(6));
  }
  for (std::size_t left = size + 2; left > 0;) {
    const std::size_t longest = random.below(50) == 0 ? 400 : 9;
    const auto length =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(left, 1 + random.below(longest)));
    record.patch_lengths.push_back(length);
    left -= length;
  }
  // Multiples of 1/64 below 8 are exact in float16.
  for (std::size_t i = 0; entropies && i < size + 2; ++i) {
    record.entropies.push_back(static_cast<float>(random.below(512)) / 64.0F);
  }
  return record;
}

inline std::vector<shard::Record> random_records(std::uint64_t seed, std::size_t count,
                                                 std::size_t mean_size, bool entropies) {
  Random random(seed);
  std::vector<shard::Record> records;
  for (std::size_t i = 0; i < count; ++i) {
    records.push_back(random_record(random, random.below(2 * mean_size + 1), entropies));
  }
  return records;
}

// Writes shards and manifest.
inline shard::Manifest write_folder(const std::string& folder,
                                    const std::vector<shard::Record>& records,
                                    const shard::WriterOptions& options) {
  shard::Writer writer(folder, options);
  for (const auto& record : records) writer.add(record);
  shard::Manifest manifest;
  manifest.patching = Json{{"scheme", "test"}};
  manifest.has_entropies = options.entropies;
  manifest.shards = writer.finish();
  shard::write_manifest(folder, manifest);
  return manifest;
}

inline bool same(const shard::Record& a, const shard::Record& b) {
  return a.id == b.id && a.group == b.group && a.text == b.text &&
         a.patch_lengths == b.patch_lengths && a.entropies == b.entropies;
}

}  // namespace blt::test
