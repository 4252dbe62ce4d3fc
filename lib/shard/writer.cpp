// SPDX-License-Identifier: MIT
#include <zstd.h>

#include <cstdio>
#include <memory>
#include <optional>

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

std::string shard_name(std::size_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "shard-%05zu.bltz", number);
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

class Compressor {
 public:
  explicit Compressor(int level) : context_(ZSTD_createCCtx(), ZSTD_freeCCtx) {
    if (!context_) throw resource_error("zstd: out of memory");
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
  }

  // The frame, valid until the next call.
  std::string_view frame(std::string_view content) {
    buffer_.resize(std::max(buffer_.size(), ZSTD_compressBound(content.size())));
    const std::size_t size = ZSTD_compress2(context_.get(), buffer_.data(), buffer_.size(),
                                            content.data(), content.size());
    if (ZSTD_isError(size)) throw resource_error(cat("zstd: ", ZSTD_getErrorName(size)));
    return std::string_view(buffer_).substr(0, size);
  }

 private:
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context_;
  std::string buffer_;
};

// A shard that is being written.
class OpenShard {
 public:
  OpenShard(const std::string& folder, std::string name, std::uint16_t flags)
      : file_(folder + "/" + name, false) {
    facts_.file = std::move(name);
    std::string payload(shard_magic);
    put(payload, format_version);
    put(payload, flags);
    put(payload, std::uint32_t{0});
    append_skippable(payload);
  }

  std::uint64_t bytes() const { return facts_.bytes; }

  void append_block(Compressor& compressor, BlockBuilder& builder) {
    put(index_, builder.documents());
    put(index_, static_cast<std::uint32_t>(builder.text_bytes()));
    put(index_, static_cast<std::uint32_t>(builder.patches()));
    ++blocks_;
    facts_.documents += builder.documents();
    facts_.bytes += builder.text_bytes();
    facts_.patches += builder.patches();
    const std::string content = builder.take();
    append(compressor.frame(content), content);
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
  void append_skippable(std::string_view payload) { append(skippable_frame(payload), {}); }
  void append(std::string_view frame, std::string_view content) {
    write(frame);
    put(seek_table_, static_cast<std::uint32_t>(frame.size()));
    put(seek_table_, static_cast<std::uint32_t>(content.size()));
    put(seek_table_, content_checksum(as_bytes(content)));
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
  Compressor compressor;
  BlockBuilder builder;
  std::optional<OpenShard> shard;
  std::vector<Manifest::Shard> shards;

  Impl(std::string path, const WriterOptions& given)
      : folder(std::move(path)),
        options(given),
        compressor(given.compression_level),
        builder(flags_of(given)) {}

  void flush_block() {
    if (builder.documents() == 0) return;
    if (!shard) shard.emplace(folder, shard_name(shards.size()), flags_of(options));
    shard->append_block(compressor, builder);
    if (shard->bytes() >= options.shard_bytes) finish_shard();
  }

  void finish_shard() {
    if (!shard) return;
    shards.push_back(shard->finish());
    shard.reset();
  }
};

Writer::Writer(std::string folder, WriterOptions options) {
  if (options.block_bytes == 0 || options.shard_bytes == 0)
    throw usage_error("block and shard sizes must be above 0");
  if (options.compression_level < ZSTD_minCLevel() ||
      options.compression_level > ZSTD_maxCLevel()) {
    throw usage_error(cat("compression level ", options.compression_level, " is not ",
                          ZSTD_minCLevel(), " to ", ZSTD_maxCLevel()));
  }
  impl_ = std::make_unique<Impl>(std::move(folder), options);
}
Writer::~Writer() = default;

void Writer::add(const Record& record) {
  Impl& impl = *impl_;
  BlockBuilder& builder = impl.builder;
  check_record(record, impl.options.entropies);
  const std::uint64_t more = BlockBuilder::bound(record, flags_of(impl.options));
  if (more > max_block_payload) {
    throw input_error(cat("document \"", record.id, "\": too large for a shard (",
                          record.text.size(), " bytes)"));
  }
  if (builder.payload_bytes() + more > large_block_bytes) impl.flush_block();
  builder.add(record);
  // Names and empty documents count too, so that a block stays small whatever it holds.
  if (builder.text_bytes() >= impl.options.block_bytes ||
      builder.name_bytes() >= impl.options.block_bytes ||
      builder.documents() >= max_block_documents) {
    impl.flush_block();
  }
}

std::vector<Manifest::Shard> Writer::finish() {
  impl_->flush_block();
  impl_->finish_shard();
  return std::move(impl_->shards);
}

}  // namespace blt::shard
