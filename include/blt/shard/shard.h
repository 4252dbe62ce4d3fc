// SPDX-License-Identifier: MIT
// Shards: zstd seekable-format files of whole documents with their patch lengths. See docs/format.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "blt/base/json.h"

namespace blt::shard {

enum class EntropyType : std::uint8_t { float16, float32 };
std::string_view entropy_type_name(EntropyType type);

struct Record {
  std::string id;
  std::string group;
  std::string text;                          // the document's bytes, without BOS and EOS
  std::vector<std::uint32_t> patch_lengths;  // over BOS + bytes + EOS: sum = text.size() + 2
  std::vector<float> entropies;              // of the same positions in nats; may be empty
};

struct Manifest {
  struct Shard {
    std::string file;
    std::uint64_t documents = 0, bytes = 0, patches = 0, file_bytes = 0;
    std::string xxh3;  // XXH3-128 of the file
  };
  Json patching;        // scheme, threshold, threshold_add, patch_size, max_patch_length, ... as blt-patch wrote them
  Json entropy_model;   // {"path", "digest"} or null
  bool has_entropies = false;
  std::vector<Shard> shards;
  Json extra;           // anything else worth keeping (options, counts of skipped records)

  std::uint64_t documents() const;
  std::uint64_t bytes() const;
  std::uint64_t patches() const;
};

Json to_json(const Manifest::Shard& shard);
Manifest::Shard shard_from_json(const Json& json);  // errors: input
Manifest read_manifest(const std::string& folder);  // errors: input
void write_manifest(const std::string& folder, const Manifest& manifest);

struct WriterOptions {
  std::uint64_t shard_bytes = 256u << 20;  // document bytes after which a new shard starts
  std::uint64_t block_bytes = 1u << 20;    // document bytes a block (one zstd frame)
  int compression_level = 3;
  bool entropies = false;
  EntropyType entropy_type = EntropyType::float16;  // as which they are stored
};

// Records that make one block. Which records share a block follows from their order and sizes alone.
struct PendingBlock {
  std::vector<Record> records;
};
struct CompressedBlock {
  std::string frame;
  std::uint32_t content_bytes = 0, checksum = 0;
  std::uint32_t documents = 0, text_bytes = 0, patches = 0;
};

// Writes shard-00000.bltz, shard-00001.bltz, ... into a folder; of part 7 of a corpus shard-00007.bltz, shard-00007-001.bltz, ...,
// in place of what an earlier run left. finish() returns the manifest's shard list. The caller writes the manifest.
class Writer {
 public:
  Writer(std::string folder, WriterOptions options, std::optional<std::size_t> part = std::nullopt);
  ~Writer();
  void add(Record record);  // errors: output; internal when the lengths do not tile
  std::vector<Manifest::Shard> finish();

  // add() in steps, for pipelines: pack(), flush() and append() each by one thread at a time and in order, compress() by any.
  void pack(Record record, std::vector<PendingBlock>& full);  // adds the blocks that are full now
  void flush(std::vector<PendingBlock>& full);  // adds the block that is not full, before finish()
  CompressedBlock compress(const PendingBlock& block) const;
  void append(const CompressedBlock& block);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Reads one shard file or a folder of shards (with manifest), in order or by document number.
class Reader {
 public:
  explicit Reader(const std::string& path);  // errors: input
  ~Reader();
  std::uint64_t size() const;              // documents
  bool next(Record& record);               // in order; errors: input on damage
  Record at(std::uint64_t index) const;    // random access; thread-safe
  void seek(std::uint64_t index);          // next() goes on from here
  EntropyType entropy_type() const;        // of the stored entropies; float32 when some shard's are
  const Manifest& manifest() const;        // of a single file: a manifest with that shard alone

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct VerifyResult {
  std::uint64_t documents = 0, bytes = 0, patches = 0;
  std::vector<std::string> problems;  // "shard-00001.bltz: ..."; empty: all is well
};
// Sums of files and frames, the seek table, tiling of every document, and the manifest's counts.
VerifyResult verify(const std::string& folder);

}  // namespace blt::shard
