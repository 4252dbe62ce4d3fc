// SPDX-License-Identifier: MIT
#include "shard_file.h"

#include <zstd.h>

#include <algorithm>
#include <memory>

#include "blt/base/error.h"
#include "blt/base/hash.h"
#include "layout.h"

namespace blt::shard {
namespace {

// A zstd block takes at least 4 bytes for its at most 128 KiB (RFC 8878, 3.1.1.2), so a false size
// in the seek table cannot ask for much more memory than the file accounts for.
std::uint64_t largest_content(std::uint64_t compressed) {
  return compressed / 4 * (std::uint64_t{128} << 10);
}

ZSTD_DCtx* decompression_context() {
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  thread_local const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  if (!context) throw resource_error("zstd: out of memory");
  return context.get();
}

}  // namespace

ShardFile::ShardFile(const std::string& path) : file_(path) {
  with_context(path, [&] { parse(); });
}

void ShardFile::parse() {
  parse_header();
  parse_seek_table();
}

void ShardFile::parse_header() {
  if (file_.bytes().size() < header_frame_bytes) throw input_error("not a shard, or cut off");
  FieldReader fields(file_.bytes());
  const auto magic = fields.get<std::uint32_t>();
  const auto size = fields.get<std::uint32_t>();
  if (magic != skippable_magic || fields.take_text(shard_magic.size()) != shard_magic) {
    throw input_error("not a shard");
  }
  const auto version = fields.get<std::uint16_t>();
  if (version != format_version)
    throw input_error(cat("shard format version ", version, " is not known"));
  flags_ = fields.get<std::uint16_t>();
  const auto reserved = fields.get<std::uint32_t>();
  if (size != header_payload_bytes || !known_flags(flags_) || reserved != 0) {
    throw input_error("the shard header is damaged");
  }
}

void ShardFile::parse_seek_table() {
  const auto bytes = file_.bytes();
  if (bytes.size() < header_frame_bytes + seek_footer_bytes) throw input_error("cut off");
  FieldReader footer(bytes.last(seek_footer_bytes));
  const auto frames = footer.get<std::uint32_t>();
  const auto descriptor = footer.get<std::uint8_t>();
  if (footer.get<std::uint32_t>() != seek_table_footer_magic) {
    throw input_error("no seek table at the end: cut off or damaged");
  }
  const std::uint64_t payload = std::uint64_t{frames} * seek_entry_bytes + seek_footer_bytes;
  if (descriptor != seek_table_has_checksums || frames < 2 ||
      payload + skippable_header_bytes > bytes.size() - header_frame_bytes) {
    throw input_error("the seek table is damaged");
  }
  const std::uint64_t table_offset = bytes.size() - payload - skippable_header_bytes;
  FieldReader table(bytes.subspan(table_offset));
  if (table.get<std::uint32_t>() != seek_table_frame_magic ||
      table.get<std::uint32_t>() != payload) {
    throw input_error("the seek table is damaged");
  }

  // The first frame is the header, the last the index; the frames cover the file up to the seek
  // table.
  std::uint64_t offset = 0;
  std::uint32_t compressed = 0;
  for (std::uint32_t i = 0; i < frames; ++i) {
    compressed = table.get<std::uint32_t>();
    const auto decompressed = table.get<std::uint32_t>();
    const auto checksum = table.get<std::uint32_t>();
    const bool is_block = i > 0 && i + 1 < frames;
    if (compressed > table_offset - offset || (i == 0 && compressed != header_frame_bytes) ||
        (!is_block && (decompressed != 0 || checksum != content_checksum({}))) ||
        (is_block && decompressed > largest_content(compressed))) {
      throw input_error(cat("the seek table is damaged at frame ", i));
    }
    if (is_block) blocks_.push_back({offset, compressed, decompressed, checksum});
    offset += compressed;
  }
  if (offset != table_offset) throw input_error("the seek table does not cover the file");
  parse_index(table_offset - compressed, compressed);
}

void ShardFile::parse_index(std::uint64_t offset, std::uint32_t frame_bytes) {
  const std::uint64_t payload =
      index_fixed_bytes + blocks_.size() * index_entry_bytes + index_sum_bytes;
  if (frame_bytes != payload + skippable_header_bytes) throw input_error("the index is damaged");
  FieldReader frame(file_.bytes().subspan(offset, frame_bytes));
  const auto magic = frame.get<std::uint32_t>();
  const auto size = frame.get<std::uint32_t>();
  const auto content = frame.rest();
  FieldReader sum(content.last(index_sum_bytes));
  if (magic != skippable_magic || size != payload ||
      frame.take_text(index_magic.size()) != index_magic ||
      sum.get<std::uint64_t>() != xxh3_64(content.first(payload - index_sum_bytes))) {
    throw input_error("the index is damaged");
  }
  const auto documents = frame.get<std::uint64_t>();
  const auto text_bytes = frame.get<std::uint64_t>();
  const auto patches = frame.get<std::uint64_t>();
  const auto blocks = frame.get<std::uint32_t>();
  const auto reserved = frame.get<std::uint32_t>();
  for (auto& place : blocks_) {
    place.documents = frame.get<std::uint32_t>();
    place.text_bytes = frame.get<std::uint32_t>();
    place.patches = frame.get<std::uint32_t>();
    place.first_document = documents_;
    if (place.documents == 0) throw input_error("the index has a block without documents");
    documents_ += place.documents;
    text_bytes_ += place.text_bytes;
    patches_ += place.patches;
  }
  if (blocks != blocks_.size() || reserved != 0 || documents != documents_ ||
      text_bytes != text_bytes_ || patches != patches_) {
    throw input_error("the index does not agree with its own totals");
  }
}

std::size_t ShardFile::block_of(std::uint64_t document) const {
  const auto behind =
      std::upper_bound(blocks_.begin(), blocks_.end(), document,
                       [](std::uint64_t n, const BlockPlace& b) { return n < b.first_document; });
  return static_cast<std::size_t>(behind - blocks_.begin()) - 1;
}

void ShardFile::decode(const BlockPlace& place, Block& block) const {
  const auto frame = file_.bytes().subspan(place.offset, place.compressed);
  if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != place.decompressed ||
      ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size()) {
    throw input_error("the frame is not the one in the seek table");
  }
  block.content.resize(place.decompressed);
  const std::size_t size = ZSTD_decompressDCtx(decompression_context(), block.content.data(),
                                               block.content.size(), frame.data(), frame.size());
  if (ZSTD_isError(size)) throw input_error(cat("damaged (", ZSTD_getErrorName(size), ")"));
  if (size != place.decompressed || content_checksum(as_bytes(block.content)) != place.checksum) {
    throw input_error("the content does not agree with the seek table's checksum");
  }
  parse_block(block);
  if (block.flags != flags_ || block.documents.size() != place.documents ||
      block.text_bytes() != place.text_bytes || block.patch_lengths.size() != place.patches) {
    throw input_error("the content does not agree with the index");
  }
}

void ShardFile::read_block(std::size_t index, Block& block) const {
  with_context(cat(path(), ": block ", index), [&] { decode(blocks_[index], block); });
}

}  // namespace blt::shard
