// SPDX-License-Identifier: MIT
#include "blt/patch/recut.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_pipeline.h>

#include <chrono>
#include <cmath>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/hash.h"
#include "blt/base/signals.h"
#include "blt/base/units.h"
#include "blt/patch/records.h"

namespace blt::patch {
namespace {

using Batch = std::vector<shard::Record>;

std::string manifest_sum(const std::string& folder) {
  Digest digest;
  digest.update(as_bytes(read_file((std::filesystem::path(folder) / "manifest.json").string())));
  return digest.hex();
}

class Recut {
 public:
  Recut(const RecutOptions& options, Reporter& reporter) : options_(options), reporter_(reporter) {
    check_rules(options_.rules);
    if (options_.rules.scheme == Scheme::delimiter)
      throw usage_error("scheme delimiter looks for delimiter ids, and shards have none");
    result_.rules = options_.rules;
  }

  PipelineResult run() {
    const auto start = std::chrono::steady_clock::now();
    if (options_.dry_run)
      check_output_path(options_.output, options_.force);
    else
      staged_.emplace(options_.output, options_.force);
    open_shards();
    if (!options_.dry_run) {
      if (options_.mean_patch_size) fit_threshold();
      if ((result_.signal = stop_signal()) == 0) write_shards();
    }
    result_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(result_);
  }

 private:
  void open_shards() {
    bool keep = !options_.drop_entropies;
    for (const auto& path : options_.shards) {
      const auto& reader = readers_.emplace_back(std::make_unique<shard::Reader>(path));
      for (const auto& shard : reader->manifest().shards) {
        result_.files.push_back(shard.file);
        result_.file_bytes += shard.file_bytes;
        documents_.push_back(shard.documents);
      }
      text_bytes_ += reader->manifest().bytes();
      keep = keep && reader->manifest().has_entropies;
    }
    writer_options_ = options_.writer;
    writer_options_.entropies = keep;
    uses_entropies_ = keep || needs_entropies(options_.rules.scheme);
    if (uses_entropies_) check_entropies();
  }

  // One threshold makes sense for entropies of one model only.
  void check_entropies() {
    const Json& first = readers_.front()->manifest().entropy_model;
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      require_entropies(options_.shards[i], readers_[i]->manifest(), options_.rules.newline_reset);
      const Json& model = readers_[i]->manifest().entropy_model;
      if (digest_of(model) != digest_of(first)) {
        throw usage_error(cat(options_.shards[i], ": its entropies are not of the model of ",
                              options_.shards.front(), "'s"));
      }
      if (readers_[i]->entropy_type() == shard::EntropyType::float32)
        writer_options_.entropy_type = shard::EntropyType::float32;
    }
  }

  static Json digest_of(const Json& model) {
    return model.is_object() ? model.value("digest", Json()) : Json();
  }

  void fit_threshold() {
    const double wished = *options_.mean_patch_size;
    const Sample sample = sample_shards(options_.shards, options_.rules.newline_reset,
                                        options_.sample_bytes, options_.seed);
    if (stop_signal()) return;
    result_.calibration = calibrate(sample, options_.rules, wished);
    result_.rules.threshold = result_.calibration->threshold;
    tell_fit(*result_.calibration, wished, options_.seed, reporter_);
  }

  // Stage 1, one thread: whole documents until the batch is full.
  Batch read_batch() {
    Batch batch;
    std::uint64_t bytes = 0;
    while (bytes < options_.batch_bytes && next_reader_ < readers_.size() && !stop_signal()) {
      shard::Record record;
      if (!readers_[next_reader_]->next(record)) {
        ++next_reader_;
        continue;
      }
      bytes += record.text.size() + 2;
      batch.push_back(std::move(record));
    }
    return batch;
  }

  // Stage 2, all threads.
  void cut_batch(Batch& batch) const {
    for (auto& record : batch)
      record.patch_lengths = cut_document(record.text, record.entropies, result_.rules);
  }

  // Each shard is written anew, so that the shards' borders stay those that corpus and options
  // gave.
  void write(const shard::Record& record) {
    while (left_in_shard_ == 0) {
      finish_shard();
      writer_.emplace(staged_->path(), writer_options_, next_shard_);
      left_in_shard_ = documents_.at(next_shard_++);
    }
    writer_->add(record);
    --left_in_shard_;
  }

  void finish_shard() {
    if (!writer_) return;
    for (auto& shard : writer_->finish()) shards_.push_back(std::move(shard));
    writer_.reset();
  }

  // Stage 3, in order.
  void write_batch(const Batch& batch) {
    for (const auto& record : batch) {
      write(record);
      ++result_.documents;
      result_.bytes += record.text.size();
      result_.patches += record.patch_lengths.size();
    }
    tell_progress(false);
  }

  void tell_progress(bool finished) {
    Progress progress{"recut", result_.bytes, text_bytes_, "B", {}, finished};
    progress.fields = {{"documents", format_count(static_cast<double>(result_.documents))},
                       {"patches", format_count(static_cast<double>(result_.patches))},
                       {"bytes/patch", format_fixed(result_.mean_patch_size(), 2)}};
    reporter_.progress(progress);
  }

  void write_shards() {
    run_stages();
    if ((result_.signal = stop_signal())) return;
    finish();
    tell_progress(true);
  }

  void run_stages() {
    namespace tbb = oneapi::tbb;
    const auto threads =
        tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
    // oneTBB drops its tokens when a stage throws, so the batches are owned here: first in, first
    // out.
    std::mutex mutex;
    std::deque<Batch> alive;
    constexpr auto in_order = tbb::filter_mode::serial_in_order;
    const auto read =
        tbb::make_filter<void, Batch*>(in_order, [&](tbb::flow_control& flow) -> Batch* {
          Batch batch = read_batch();
          if (batch.empty()) {
            flow.stop();
            return nullptr;
          }
          const std::lock_guard lock(mutex);
          return &alive.emplace_back(std::move(batch));
        });
    const auto cut =
        tbb::make_filter<Batch*, Batch*>(tbb::filter_mode::parallel, [&](Batch* batch) {
          if (!stop_signal()) cut_batch(*batch);
          return batch;
        });
    const auto write = tbb::make_filter<Batch*, void>(in_order, [&](Batch* batch) {
      if (!stop_signal()) write_batch(*batch);
      const std::lock_guard lock(mutex);
      alive.pop_front();
    });
    tbb::parallel_pipeline(2 * threads + 2, read & cut & write);
  }

  Json sources() const {
    Json list = Json::array();
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      const shard::Manifest& manifest = readers_[i]->manifest();
      const bool folder = std::filesystem::is_directory(options_.shards[i]);
      Json& source = list.emplace_back(Json{{"shards", options_.shards[i]}});
      source["manifest_xxh3"] = folder ? Json(manifest_sum(options_.shards[i])) : Json(nullptr);
      source["patching"] = manifest.patching;
      source["entropies"] = manifest.has_entropies
                                ? Json(shard::entropy_type_name(readers_[i]->entropy_type()))
                                : Json(nullptr);
      source["extra"] = manifest.extra;
    }
    return list;
  }

  void finish() {
    finish_shard();
    shard::Manifest manifest;
    manifest.shards = std::move(shards_);
    for (const auto& shard : manifest.shards) result_.shard_bytes += shard.file_bytes;
    result_.shards = manifest.shards.size();
    manifest.patching = rules_json(result_.rules);
    if (result_.calibration) {
      manifest.patching["calibration"] =
          calibration_json(*result_.calibration, *options_.mean_patch_size, options_.seed);
    }
    if (uses_entropies_) manifest.entropy_model = readers_.front()->manifest().entropy_model;
    manifest.has_entropies = writer_options_.entropies;
    manifest.extra = {{"cut_from", sources()}};
    shard::write_manifest(staged_->path(), manifest);
    staged_->commit();
  }

  const RecutOptions& options_;
  Reporter& reporter_;
  PipelineResult result_;
  std::optional<StagedFolder> staged_;
  std::vector<std::unique_ptr<shard::Reader>> readers_;
  std::size_t next_reader_ = 0;
  std::vector<std::uint64_t> documents_;  // of each shard, over all readers
  shard::WriterOptions writer_options_;
  std::optional<shard::Writer> writer_;  // of the shard before next_shard_
  std::size_t next_shard_ = 0;
  std::uint64_t left_in_shard_ = 0;
  std::vector<shard::Manifest::Shard> shards_;
  bool uses_entropies_ = false;
  std::uint64_t text_bytes_ = 0;
};

}  // namespace

PipelineResult recut_shards(const RecutOptions& options, Reporter& reporter) {
  return Recut(options, reporter).run();
}

}  // namespace blt::patch
