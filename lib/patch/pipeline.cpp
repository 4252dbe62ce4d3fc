// SPDX-License-Identifier: MIT
#include "blt/patch/pipeline.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_pipeline.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <memory>
#include <mutex>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/signals.h"
#include "blt/base/units.h"
#include "blt/patch/records.h"
#include "blt/patch/segmenter.h"

namespace blt::patch {
namespace {

// What goes from stage to stage; each stage fills in its part.
struct Batch {
  std::vector<shard::Record> records;
  std::vector<shard::PendingBlock> full;  // blocks that its records completed
  std::vector<shard::CompressedBlock> blocks;
  std::uint64_t corpus_bytes = 0;  // read from disk until here, for progress
  std::uint64_t documents = 0, bytes = 0, patches = 0;
};
// Shared only because pipeline stages copy their items; an error on the way frees it.

void check_options(const PipelineOptions& options, bool has_source) {
  const Rules& rules = options.rules;
  check_rules(rules);
  for (const auto& input : options.corpus.inputs) {
    if (is_shards(input))
      throw usage_error(input + ": is shards, not a corpus", "blt-patch cat gives the corpus back");
  }
  const std::string name(scheme_name(rules.scheme));
  if (rules.scheme == Scheme::delimiter) {
    throw usage_error("scheme delimiter looks for delimiter ids, and a corpus of bytes has none",
                      "blt-patch cut takes ids; --scheme space cuts text at spaces");
  }
  const bool wants_entropies = needs_entropies(rules.scheme) || options.writer.entropies;
  if (wants_entropies && options.entropy_model.empty() && !has_source) {
    throw usage_error(needs_entropies(rules.scheme) ? cat("scheme ", name, " needs entropies")
                                                    : "entropies to keep need a model",
                      "--entropy-model DIR names a byte LM");
  }
  if (!wants_entropies && !options.entropy_model.empty()) {
    throw usage_error(cat("an entropy model is no use to scheme ", name),
                      "--keep-entropies stores its entropies all the same");
  }
  if (options.mean_patch_size && !has_threshold(rules.scheme)) {
    throw usage_error(cat("scheme ", name, " has no threshold to fit"));
  }
}

class Pipeline {
 public:
  Pipeline(const PipelineOptions& options, EntropySource* source, Reporter& reporter)
      : options_(options), source_(source), reporter_(reporter) {
    check_options(options_, source_ != nullptr);
    result_.rules = options_.rules;
  }

  PipelineResult run() {
    const auto start = std::chrono::steady_clock::now();
    if (options_.dry_run)
      check_output_path(options_.output, options_.force);
    else
      staged_.emplace(options_.output, options_.force);
    corpus_.emplace(options_.corpus);
    result_.files = corpus_->reader().files();
    result_.file_bytes = corpus_->reader().bytes_total();
    open_model();
    if (!options_.dry_run) {
      if (options_.mean_patch_size) fit_threshold();
      if ((result_.signal = stop_signal()) == 0) write_shards();
    }
    result_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(result_);
  }

 private:
  bool wants_entropies() const {
    return needs_entropies(options_.rules.scheme) || options_.writer.entropies;
  }

  void open_model() {
    if (!wants_entropies() || source_) return;
    opened_ = neural_networks().open_entropy_source(options_.entropy_model, options_.model);
    source_ = opened_.get();
  }

  void fit_threshold() {
    const double wished = *options_.mean_patch_size;
    Sample sample = corpus_->sample(options_.sample_bytes, options_.seed);
    if ((result_.signal = stop_signal())) return;
    reporter_.info(cat("fitting the threshold on ", format_bytes(static_cast<double>(sample.bytes)),
                       " of the corpus"));
    add_entropies(sample, *source_, options_.rules.newline_reset, reporter_);
    if ((result_.signal = stop_signal())) return;
    const Calibration fit = calibrate(sample, options_.rules, wished);
    if (std::abs(fit.patch_size - wished) > 0.01 * wished) {
      reporter_.warn(cat("the nearest mean patch size to ", format_double(wished),
                         " on the sample is ", format_fixed(fit.patch_size, 3)));
    }
    reporter_.info(cat("threshold ", format_double(fit.threshold), " gives ",
                       format_fixed(fit.patch_size, 3), " bytes a patch on ",
                       format_bytes(static_cast<double>(fit.bytes)), " (seed ", options_.seed,
                       ")"));
    result_.rules.threshold = fit.threshold;
    result_.calibration = fit;
  }

  // Stage 1, one thread: whole documents until the batch is full.
  std::unique_ptr<Batch> read_batch() {
    auto batch = std::make_unique<Batch>();
    std::uint64_t bytes = 0;
    while (bytes < batch_bytes_ && !stop_signal()) {
      io::Document document;
      if (!corpus_->next(document)) break;
      bytes += document.text.size() + 2;
      shard::Record& record = batch->records.emplace_back();
      record.id = std::move(document.id);
      record.group = std::move(document.group);
      record.text = std::move(document.text);
    }
    batch->corpus_bytes = corpus_->reader().bytes_read();
    return batch;
  }

  // Stage 2, one thread: a source is asked by one thread at a time, and uses the threads itself.
  void add_batch_entropies(Batch& batch) {
    std::vector<std::string_view> texts;
    for (const auto& record : batch.records) texts.push_back(record.text);
    auto entropies = document_entropies(*source_, texts, options_.rules.newline_reset);
    for (std::size_t i = 0; i < texts.size(); ++i)
      batch.records[i].entropies = std::move(entropies[i]);
  }

  // Stage 3, all threads.
  void cut_batch(Batch& batch) const {
    for (auto& record : batch.records) {
      record.patch_lengths = cut_document(record.text, record.entropies, result_.rules);
    }
  }

  // Stage 4, in order: blocks depend on the sequence of records alone.
  void pack_batch(shard::Writer& writer, Batch& batch) {
    batch.documents = batch.records.size();
    for (auto& record : batch.records) {
      batch.bytes += record.text.size();
      batch.patches += record.patch_lengths.size();
      writer.pack(std::move(record), batch.full);
    }
    batch.records.clear();
  }

  // Stage 5, all threads.
  static void compress_batch(const shard::Writer& writer, Batch& batch) {
    for (auto& block : batch.full) {
      batch.blocks.push_back(writer.compress(block));
      block = {};
    }
  }

  // Stage 6, in order.
  void write_batch(shard::Writer& writer, const Batch& batch) {
    for (const auto& block : batch.blocks) writer.append(block);
    result_.documents += batch.documents;
    result_.bytes += batch.bytes;
    result_.patches += batch.patches;
    tell_progress(batch.corpus_bytes, false);
  }

  void tell_progress(std::uint64_t corpus_bytes, bool finished) {
    Progress progress{"patch", corpus_bytes, result_.file_bytes, "B", {}, finished};
    progress.fields = {{"documents", format_count(static_cast<double>(result_.documents))},
                       {"patches", format_count(static_cast<double>(result_.patches))},
                       {"bytes/patch", format_fixed(result_.mean_patch_size(), 2)}};
    reporter_.progress(progress);
  }

  void write_shards() {
    shard::Writer writer(staged_->path(), options_.writer);
    batch_bytes_ = wants_entropies() ? std::max<std::uint64_t>(source_->batch_bytes(), 1)
                                     : options_.batch_bytes;
    run_stages(writer);
    result_.skipped = corpus_->reader().counts().skipped;
    result_.left_out = corpus_->left_out();
    warn_skipped(corpus_->reader(), reporter_);
    if ((result_.signal = stop_signal())) return;
    if (result_.documents == 0) {
      throw input_error("the corpus has no documents",
                        result_.left_out ? "they are all in the other half (--split)" : "");
    }
    finish(writer);
    tell_progress(corpus_->reader().bytes_read(), true);
  }

  void run_stages(shard::Writer& writer) {
    namespace tbb = oneapi::tbb;
    const auto threads =
        tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
    const std::size_t in_flight = wants_entropies() ? 4 : 2 * threads + 2;
    // oneTBB drops its tokens when a stage throws, so the batches are owned here: first in, first out.
    std::mutex mutex;
    std::deque<std::unique_ptr<Batch>> alive;
    constexpr auto in_order = tbb::filter_mode::serial_in_order;
    auto read = tbb::make_filter<void, Batch*>(in_order, [&](tbb::flow_control& flow) -> Batch* {
      auto batch = read_batch();
      if (batch->records.empty()) {
        flow.stop();
        return nullptr;
      }
      const std::lock_guard lock(mutex);
      return alive.emplace_back(std::move(batch)).get();
    });
    auto entropies = tbb::make_filter<Batch*, Batch*>(in_order, [&](Batch* batch) {
      if (!stop_signal()) add_batch_entropies(*batch);
      return batch;
    });
    auto cut = tbb::make_filter<Batch*, Batch*>(tbb::filter_mode::parallel, [&](Batch* batch) {
      if (!stop_signal()) cut_batch(*batch);
      return batch;
    });
    auto pack = tbb::make_filter<Batch*, Batch*>(in_order, [&](Batch* batch) {
      if (!stop_signal()) pack_batch(writer, *batch);
      return batch;
    });
    auto compress =
        tbb::make_filter<Batch*, Batch*>(tbb::filter_mode::parallel, [&](Batch* batch) {
          if (!stop_signal()) compress_batch(writer, *batch);
          return batch;
        });
    auto write = tbb::make_filter<Batch*, void>(in_order, [&](Batch* batch) {
      if (!stop_signal()) write_batch(writer, *batch);
      const std::lock_guard lock(mutex);
      alive.pop_front();
    });
    const auto first = wants_entropies() ? read & entropies & cut : read & cut;
    tbb::parallel_pipeline(in_flight, first & pack & compress & write);
  }

  void finish(shard::Writer& writer) {
    shard::Manifest manifest;
    manifest.shards = writer.finish();
    for (const auto& shard : manifest.shards) result_.shard_bytes += shard.file_bytes;
    result_.shards = manifest.shards.size();
    manifest.patching = rules_json(result_.rules);
    if (result_.calibration) {
      manifest.patching["calibration"] = {{"patch_size", *options_.mean_patch_size},
                                          {"reached", result_.calibration->patch_size},
                                          {"sample_bytes", result_.calibration->bytes},
                                          {"seed", options_.seed}};
    }
    manifest.entropy_model = nullptr;
    if (wants_entropies())
      manifest.entropy_model = {{"path", options_.entropy_model}, {"digest", source_->digest()}};
    manifest.has_entropies = options_.writer.entropies;
    manifest.extra = {{"corpus", options_.corpus.inputs},
                      {"split", options_.corpus.split},
                      {"held_out", options_.corpus.held_out},
                      {"skipped", result_.skipped}};
    shard::write_manifest(staged_->path(), manifest);
    staged_->commit();
  }

  const PipelineOptions& options_;
  EntropySource* source_;
  std::unique_ptr<EntropySource> opened_;
  Reporter& reporter_;
  PipelineResult result_;
  std::optional<StagedFolder> staged_;
  std::optional<Corpus> corpus_;
  std::uint64_t batch_bytes_ = 0;
};

}  // namespace

PipelineResult make_shards(const PipelineOptions& options, EntropySource* source,
                           Reporter& reporter) {
  return Pipeline(options, source, reporter).run();
}

Json rules_json(const Rules& rules) {
  const bool sized = rules.scheme == Scheme::topk || rules.scheme == Scheme::strided;
  Json json = {{"scheme", scheme_name(rules.scheme)}};
  json["threshold"] = has_threshold(rules.scheme) ? Json(rules.threshold) : Json(nullptr);
  json["threshold_add"] =
      rules.scheme == Scheme::combined ? Json(rules.threshold_add) : Json(nullptr);
  json["patch_size"] = sized ? Json(static_cast<std::int64_t>(rules.patch_size)) : Json(nullptr);
  json["max_patch_length"] = rules.max_patch_length ? Json(*rules.max_patch_length) : Json(nullptr);
  json["newline_reset"] = rules.newline_reset;
  return json;
}

Json to_json(const PipelineResult& result) {
  Json json = {{"documents", result.documents}, {"bytes", result.bytes},
               {"patches", result.patches},     {"mean_patch_size", result.mean_patch_size()},
               {"shards", result.shards},       {"shard_bytes", result.shard_bytes},
               {"skipped", result.skipped},     {"left_out", result.left_out},
               {"files", result.files.size()},  {"patching", rules_json(result.rules)},
               {"seconds", result.seconds}};
  if (result.calibration) {
    json["calibration"] = {{"patch_size", result.calibration->patch_size},
                           {"sample_bytes", result.calibration->bytes},
                           {"sample_patches", result.calibration->patches}};
  }
  return json;
}

void warn_skipped(const io::DocumentReader& reader, Reporter& reporter) {
  const std::uint64_t skipped = reader.counts().skipped;
  if (skipped == 0) return;
  for (const auto& message : reader.skipped()) reporter.detail(message);
  reporter.problem(cat("skipped ", skipped, skipped == 1 ? " bad record" : " bad records",
                    reader.skipped().empty() ? "" : ", the first: " + reader.skipped().front()));
}

}  // namespace blt::patch
