// SPDX-License-Identifier: MIT
#include "blt/stats/inputs.h"

#include <filesystem>

#include "blt/base/error.h"
#include "blt/config/stats_config.h"
#include "blt/shard/shard.h"

namespace blt::stats {
namespace {

bool is_shard_folder(const std::string& path) {
  return std::filesystem::exists(path + "/manifest.json");
}

io::DocumentOptions document_options(const StatsInputs& inputs) {
  io::DocumentOptions options;
  options.format = inputs.format;
  options.split_lines = inputs.split_lines;
  options.field = inputs.field;
  options.group_field = inputs.group_field;
  options.on_error = inputs.on_error;
  return options;
}

}  // namespace

struct InputReader::Impl {
  std::unique_ptr<io::DocumentReader> corpus;  // all inputs that are no shards; null without
  std::vector<std::unique_ptr<shard::Reader>> shards;
  std::size_t shard = 0;
  std::uint64_t shard_done = 0, shard_total = 0;

  bool next_record(InputDocument& out) {
    shard::Record record;
    while (shard < shards.size() && !shards[shard]->next(record)) ++shard;
    if (shard == shards.size()) return false;
    shard_done += record.text.size();
    out.document = {std::move(record.id), std::move(record.group), std::move(record.text)};
    out.sharded = true;
    out.patch_lengths = std::move(record.patch_lengths);
    out.entropies = std::move(record.entropies);
    return true;
  }
};

InputReader::InputReader(const StatsInputs& inputs) : impl_(std::make_unique<Impl>()) {
  std::vector<std::string> files;
  for (const auto& path : inputs.inputs) {
    if (!is_shard_folder(path)) {
      files.push_back(path);
      continue;
    }
    impl_->shards.push_back(std::make_unique<shard::Reader>(path));
    impl_->shard_total += impl_->shards.back()->manifest().bytes();
  }
  if (!files.empty())
    impl_->corpus =
        std::make_unique<io::DocumentReader>(std::move(files), document_options(inputs));
}

InputReader::~InputReader() = default;

bool InputReader::next(InputDocument& out) {
  out = {};
  if (impl_->corpus && impl_->corpus->next(out.document)) return true;
  return impl_->next_record(out);
}

bool InputReader::has_shards() const {
  return !impl_->shards.empty();
}

bool InputReader::has_entropies() const {
  for (const auto& reader : impl_->shards) {
    if (!reader->manifest().has_entropies) return false;
  }
  return !impl_->corpus && has_shards();
}

Json InputReader::patching() const {
  return has_shards() ? impl_->shards.front()->manifest().patching : Json(nullptr);
}

std::uint64_t InputReader::skipped() const {
  return impl_->corpus ? impl_->corpus->counts().skipped : 0;
}

std::uint64_t InputReader::done() const {
  return impl_->shard_done + (impl_->corpus ? impl_->corpus->bytes_read() : 0);
}

std::uint64_t InputReader::total() const {
  const std::uint64_t files = impl_->corpus ? impl_->corpus->bytes_total() : 0;
  return impl_->corpus && files == 0 ? 0 : files + impl_->shard_total;
}

void warn_skipped(const InputReader& reader, Reporter& reporter) {
  if (reader.skipped() > 0) reporter.problem(cat(reader.skipped(), " bad records were left out"));
}

}  // namespace blt::stats
