// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <mutex>
#include <system_error>

#include "blt/base/error.h"
#include "blt/shard/shard.h"
#include "shard_file.h"

namespace blt::shard {
namespace {
namespace fs = std::filesystem;

using BlockPointer = std::shared_ptr<const Block>;

// The blocks that were read last, so that documents near each other decode their block once.
class RecentBlocks {
 public:
  BlockPointer find(std::size_t shard, std::size_t block) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      return entry.content && entry.shard == shard && entry.block == block;
    });
    return found == entries_.end() ? nullptr : found->content;
  }
  void keep(std::size_t shard, std::size_t block, BlockPointer content) {
    const std::lock_guard lock(mutex_);
    entries_[next_] = {shard, block, std::move(content)};
    next_ = (next_ + 1) % entries_.size();
  }

 private:
  struct Entry {
    std::size_t shard = 0, block = 0;
    BlockPointer content;
  };
  std::mutex mutex_;
  std::array<Entry, 4> entries_;
  std::size_t next_ = 0;
};

void check_counts(const ShardFile& file, const Manifest::Shard& expected, bool entropies) {
  if (file.documents() != expected.documents || file.text_bytes() != expected.bytes ||
      file.patches() != expected.patches || file.file_bytes() != expected.file_bytes ||
      file.has_entropies() != entropies) {
    throw input_error(cat(file.path(), ": is not the file that the manifest tells of"));
  }
}

Manifest manifest_of(const ShardFile& file) {
  Manifest manifest;
  manifest.has_entropies = file.has_entropies();
  Manifest::Shard shard;
  shard.file = fs::path(file.path()).filename().string();
  shard.documents = file.documents();
  shard.bytes = file.text_bytes();
  shard.patches = file.patches();
  shard.file_bytes = file.file_bytes();
  manifest.shards.push_back(std::move(shard));
  return manifest;
}

}  // namespace

struct Reader::Impl {
  Manifest manifest;
  std::vector<std::unique_ptr<ShardFile>> files;
  std::vector<std::uint64_t> first_documents;  // of each file
  std::uint64_t documents = 0;
  mutable RecentBlocks recent;

  // Where next() stands. Its block is its own, so that at() on other threads does not push it out.
  std::uint64_t position = 0;
  BlockPointer current;
  std::uint64_t current_first = 0;  // number of the current block's first document

  void open(const std::string& path) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) {
      add_file(path);
      manifest = manifest_of(*files[0]);
      return;
    }
    manifest = read_manifest(path);
    for (const auto& shard : manifest.shards) {
      add_file((fs::path(path) / shard.file).string());
      check_counts(*files.back(), shard, manifest.has_entropies);
    }
  }

  void add_file(const std::string& path) {
    files.push_back(std::make_unique<ShardFile>(path));
    first_documents.push_back(documents);
    documents += files.back()->documents();
  }

  // The block that holds a document, and the number of the block's first document.
  BlockPointer block_of(std::uint64_t document, std::uint64_t& first) const {
    const auto behind = std::upper_bound(first_documents.begin(), first_documents.end(), document);
    const auto shard = static_cast<std::size_t>(behind - first_documents.begin()) - 1;
    const ShardFile& file = *files[shard];
    const std::size_t index = file.block_of(document - first_documents[shard]);
    first = first_documents[shard] + file.blocks()[index].first_document;
    if (auto block = recent.find(shard, index)) return block;
    auto block = std::make_shared<Block>();
    file.read_block(index, *block);
    recent.keep(shard, index, block);
    return block;
  }

  static void copy(const Block& block, std::size_t index, Record& record) {
    if (const auto problem = block.tiling_problem(index); !problem.empty()) {
      throw input_error(cat("document \"", block.documents[index].id, "\": ", problem));
    }
    block.copy(index, record);
  }
};

Reader::Reader(const std::string& path) : impl_(std::make_unique<Impl>()) {
  impl_->open(path);
}
Reader::~Reader() = default;

std::uint64_t Reader::size() const {
  return impl_->documents;
}
EntropyType Reader::entropy_type() const {
  const auto wide = [](const auto& file) { return file->entropy_type() == EntropyType::float32; };
  const bool any = std::any_of(impl_->files.begin(), impl_->files.end(), wide);
  return any ? EntropyType::float32 : EntropyType::float16;
}
const Manifest& Reader::manifest() const {
  return impl_->manifest;
}

bool Reader::next(Record& record) {
  Impl& impl = *impl_;
  if (impl.position >= impl.documents) return false;
  const bool inside = impl.current && impl.position >= impl.current_first &&
                      impl.position - impl.current_first < impl.current->documents.size();
  if (!inside) impl.current = impl.block_of(impl.position, impl.current_first);
  Impl::copy(*impl.current, impl.position - impl.current_first, record);
  ++impl.position;
  return true;
}

Record Reader::at(std::uint64_t index) const {
  if (index >= size()) throw usage_error(cat("document ", index, ": the shards hold ", size()));
  std::uint64_t first = 0;
  const auto block = impl_->block_of(index, first);
  Record record;
  Impl::copy(*block, index - first, record);
  return record;
}

void Reader::seek(std::uint64_t index) {
  if (index > size()) throw usage_error(cat("document ", index, ": the shards hold ", size()));
  impl_->position = index;
}

}  // namespace blt::shard
