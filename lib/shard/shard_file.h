// SPDX-License-Identifier: MIT
// One shard file, mapped: its header, seek table and index are checked when it is opened, its
// blocks when they are read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "block.h"
#include "blt/base/files.h"
#include "layout.h"

namespace blt::shard {

class ShardFile {
 public:
  struct BlockPlace {
    std::uint64_t offset = 0;  // of the frame in the file
    std::uint32_t compressed = 0, decompressed = 0, checksum = 0;
    std::uint32_t documents = 0, text_bytes = 0, patches = 0;
    std::uint64_t first_document = 0;
  };

  // Errors: input ("PATH: ...").
  explicit ShardFile(const std::string& path);

  std::uint64_t documents() const { return documents_; }
  std::uint64_t text_bytes() const { return text_bytes_; }
  std::uint64_t patches() const { return patches_; }
  bool has_entropies() const { return (flags_ & flag_entropies) != 0; }
  EntropyType entropy_type() const {
    return (flags_ & flag_float32) != 0 ? EntropyType::float32 : EntropyType::float16;
  }
  std::uint64_t file_bytes() const { return file_.bytes().size(); }
  const std::string& path() const { return file_.path(); }
  const std::vector<BlockPlace>& blocks() const { return blocks_; }

  // The block that holds a document.
  std::size_t block_of(std::uint64_t document) const;
  // Decodes a block and checks it against seek table and index. Thread-safe. Errors: input ("PATH:
  // block 3: ...").
  void read_block(std::size_t index, Block& block) const;

 private:
  void parse();
  void parse_header();
  void parse_seek_table();
  void parse_index(std::uint64_t offset, std::uint32_t frame_bytes);
  void decode(const BlockPlace& place, Block& block) const;

  MappedFile file_;
  std::uint16_t flags_ = 0;
  std::uint64_t documents_ = 0, text_bytes_ = 0, patches_ = 0;
  std::vector<BlockPlace> blocks_;
};

}  // namespace blt::shard
