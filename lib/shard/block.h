// SPDX-License-Identifier: MIT
// A block: whole documents, column by column; the content of one zstd frame (docs/format.md).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "blt/shard/shard.h"

namespace blt::shard {

// The flags of header and blocks.
std::uint16_t flags_of(const WriterOptions& options);
bool known_flags(std::uint16_t flags);
std::size_t entropy_bytes(std::uint16_t flags);  // a position

// out: the block's content.
void encode_block(std::span<const Record> records, std::uint16_t flags, std::string& out);
// A block grows by at most so many bytes with this record.
std::uint64_t record_bound(const Record& record, std::uint16_t flags);

// A decoded block. Views point into `content`.
struct Block {
  struct Document {
    std::string_view id, group, text;
    std::size_t first_patch = 0, patches = 0;  // in patch_lengths
    std::size_t first_position = 0;            // in entropies
  };

  std::string content;
  std::uint16_t flags = 0;
  std::vector<Document> documents;
  std::vector<std::uint32_t> patch_lengths;
  std::string_view entropies;  // entropy_bytes(flags) a position

  std::uint64_t text_bytes() const;
  void copy(std::size_t document, Record& record) const;
  // Why document n's patches do not tile it: "lengths sum to 7, expected 9"; empty when they do.
  std::string tiling_problem(std::size_t document) const;
};

// Checks every size and count against what is there, but not the tiling. Errors: input.
void parse_block(Block& block);

}  // namespace blt::shard
