// SPDX-License-Identifier: MIT
#include <zstd.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <vector>

#include "block.h"
#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/hash.h"
#include "blt/shard/shard.h"
#include "layout.h"

namespace blt::shard {
namespace {

// A block closes early when one more document would take it past what common readers of the format
// decode at once.
constexpr std::uint64_t large_block_bytes = std::uint64_t{1} << 30;
constexpr std::uint32_t max_block_documents = 1u << 16;
constexpr std::size_t kept_bytes = std::size_t{8} << 20;  // of buffers between blocks

std::string shard_name(std::optional<std::size_t> part, std::size_t number) {
  char name[64];
  if (!part || number == 0)
    std::snprintf(name, sizeof name, "shard-%05zu.bltz", part.value_or(number));
  else
    std::snprintf(name, sizeof name, "shard-%05zu-%03zu.bltz", *part, number);
  return name;
}

std::string skippable_frame(std::string_view payload) {
  std::string out;
  put(out, skippable_magic);
  put(out, static_cast<std::uint32_t>(payload.size()));
  return out += payload;
}

void check_record(const Record& record, bool entropies) {
  const std::uint64_t positions = record.text.size() + 2;
  std::uint64_t sum = 0;
  bool positive = true;
  for (const std::uint32_t length : record.patch_lengths) {
    sum += length;
    positive = positive && length > 0;
  }
  if (!positive || sum != positions) {
    throw internal_error(cat("document \"", record.id, "\": its patch lengths do not tile ",
                             positions, " positions"));
  }
  if (entropies && record.entropies.size() != positions) {
    throw internal_error(cat("document \"", record.id, "\": ", record.entropies.size(),
                             " entropies for ", positions, " positions"));
  }
}

ZSTD_CCtx* compression_context() {
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  thread_local const std::unique_ptr<ZSTD_CCtx, Free> context(ZSTD_createCCtx());
  if (!context) throw resource_error("zstd: out of memory");
  return context.get();
}

std::string compressed_frame(std::string_view content, int level) {
  ZSTD_CCtx* context = compression_context();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  // Level 3's tables do not fit a core's cache beside the block. With half the short one's size it takes 5 to 22 % less
  // time for 0.3 % more bytes.
  ZSTD_CCtx_setParameter(context, ZSTD_c_chainLog, level == 3 ? 15 : 0);
  // Kept, so that its pages are not made anew for each block.
  thread_local std::vector<char> buffer;
  const std::size_t bound = ZSTD_compressBound(content.size());
  if (buffer.size() < bound || buffer.size() > 4 * bound + kept_bytes)
    buffer = std::vector<char>(bound);
  const std::size_t size =
      ZSTD_compress2(context, buffer.data(), buffer.size(), content.data(), content.size());
  if (ZSTD_isError(size)) throw resource_error(cat("zstd: ", ZSTD_getErrorName(size)));
  return {buffer.data(), size};
}

std::uint32_t frame_checksum(std::string_view frame) {
  return FieldReader(as_bytes(frame.substr(frame.size() - sizeof(std::uint32_t))))
      .get<std::uint32_t>();
}

// A shard that is being written.
class OpenShard {
 public:
  OpenShard(const std::string& folder, std::string name, bool replace, std::uint16_t flags)
      : file_(folder + "/" + name, replace) {
    facts_.file = std::move(name);
    std::string payload(shard_magic);
    put(payload, format_version);
    put(payload, flags);
    put(payload, std::uint32_t{0});
    append_skippable(payload);
  }

  std::uint64_t bytes() const { return facts_.bytes; }

  void append_block(const CompressedBlock& block) {
    put(index_, block.documents);
    put(index_, block.text_bytes);
    put(index_, block.patches);
    ++blocks_;
    facts_.documents += block.documents;
    facts_.bytes += block.text_bytes;
    facts_.patches += block.patches;
    append(block.frame, block.content_bytes, block.checksum);
  }

  Manifest::Shard finish() {
    std::string payload(index_magic);
    put(payload, facts_.documents);
    put(payload, facts_.bytes);
    put(payload, facts_.patches);
    put(payload, blocks_);
    put(payload, std::uint32_t{0});
    payload += index_;
    put(payload, xxh3_64(payload));
    append_skippable(payload);
    put(seek_table_, frames_);
    put(seek_table_, seek_table_has_checksums);
    put(seek_table_, seek_table_footer_magic);
    std::string frame;
    put(frame, seek_table_frame_magic);
    put(frame, static_cast<std::uint32_t>(seek_table_.size()));
    write(frame += seek_table_);
    file_.commit();
    facts_.file_bytes = file_.size();
    facts_.xxh3 = digest_.hex();
    return facts_;
  }

 private:
  void write(std::string_view bytes) {
    file_.write(bytes);
    digest_.update(bytes);
  }
  void append_skippable(std::string_view payload) {
    append(skippable_frame(payload), 0, content_checksum({}));
  }
  void append(std::string_view frame, std::uint32_t content_bytes, std::uint32_t checksum) {
    write(frame);
    put(seek_table_, static_cast<std::uint32_t>(frame.size()));
    put(seek_table_, content_bytes);
    put(seek_table_, checksum);
    ++frames_;
  }

  AtomicFile file_;
  Digest digest_;
  Manifest::Shard facts_;
  std::string index_, seek_table_;
  std::uint32_t blocks_ = 0, frames_ = 0;
};

}  // namespace

struct Writer::Impl {
  std::string folder;
  WriterOptions options;
  std::optional<std::size_t> part;
  std::optional<OpenShard> shard;
  std::vector<Manifest::Shard> shards;

  // The block that is being packed.
  PendingBlock pending;
  std::uint64_t payload_bound = block_header_bytes, text_bytes = 0, name_bytes = 0;

  void flush(std::vector<PendingBlock>& full) {
    if (pending.records.empty()) return;
    full.push_back(std::move(pending));
    pending = {};
    payload_bound = block_header_bytes;
    text_bytes = name_bytes = 0;
  }

  void append(const CompressedBlock& block) {
    if (!shard) {
      const bool replace = part.has_value();
      shard.emplace(folder, shard_name(part, shards.size()), replace, flags_of(options));
    }
    shard->append_block(block);
    if (shard->bytes() >= options.shard_bytes) finish_shard();
  }

  void finish_shard() {
    if (!shard) return;
    shards.push_back(shard->finish());
    shard.reset();
  }
};

Writer::Writer(std::string folder, WriterOptions options, std::optional<std::size_t> part)
    : impl_(std::make_unique<Impl>()) {
  if (options.block_bytes == 0 || options.shard_bytes == 0)
    throw usage_error("block and shard sizes must be above 0");
  if (options.compression_level < ZSTD_minCLevel() ||
      options.compression_level > ZSTD_maxCLevel()) {
    throw usage_error(cat("compression level ", options.compression_level, " is not ",
                          ZSTD_minCLevel(), " to ", ZSTD_maxCLevel()));
  }
  impl_->folder = std::move(folder);
  impl_->options = options;
  impl_->part = part;
}
Writer::~Writer() = default;

void Writer::pack(Record record, std::vector<PendingBlock>& full) {
  Impl& impl = *impl_;
  check_record(record, impl.options.entropies);
  const std::uint64_t more = record_bound(record, flags_of(impl.options));
  if (block_header_bytes + more > max_block_payload) {
    throw input_error(cat("document \"", record.id, "\": too large for a shard (",
                          record.text.size(), " bytes)"));
  }
  if (impl.payload_bound + more > large_block_bytes) impl.flush(full);
  impl.payload_bound += more;
  impl.text_bytes += record.text.size();
  constexpr std::uint64_t length_bytes = 2;  // of an id and a group, where they are empty
  impl.name_bytes += record.id.size() + record.group.size() + length_bytes;
  impl.pending.records.push_back(std::move(record));
  // Names and empty documents count too, so that a block stays small whatever it holds.
  if (impl.text_bytes >= impl.options.block_bytes || impl.name_bytes >= impl.options.block_bytes ||
      impl.pending.records.size() >= max_block_documents) {
    impl.flush(full);
  }
}

void Writer::flush(std::vector<PendingBlock>& full) {
  impl_->flush(full);
}

CompressedBlock Writer::compress(const PendingBlock& block) const {
  thread_local std::string content;
  encode_block(block.records, flags_of(impl_->options), content);
  CompressedBlock out;
  out.frame = compressed_frame(content, impl_->options.compression_level);
  out.content_bytes = static_cast<std::uint32_t>(content.size());
  out.checksum = frame_checksum(out.frame);
  out.documents = static_cast<std::uint32_t>(block.records.size());
  for (const auto& record : block.records) {
    out.text_bytes += static_cast<std::uint32_t>(record.text.size());
    out.patches += static_cast<std::uint32_t>(record.patch_lengths.size());
  }
  if (content.capacity() > kept_bytes) content = {};
  return out;
}

void Writer::append(const CompressedBlock& block) {
  impl_->append(block);
}

void Writer::add(Record record) {
  std::vector<PendingBlock> full;
  pack(std::move(record), full);
  for (const auto& block : full) append(compress(block));
}

std::vector<Manifest::Shard> Writer::finish() {
  std::vector<PendingBlock> rest;
  impl_->flush(rest);
  for (const auto& block : rest) append(compress(block));
  impl_->finish_shard();
  return std::move(impl_->shards);
}

}  // namespace blt::shard
