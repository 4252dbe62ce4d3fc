// SPDX-License-Identifier: MIT
#include "blt/patch/pipeline.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/signals.h"
#include "blt/base/units.h"
#include "blt/patch/records.h"
#include "one_thread_source.h"
#include "partial_folder.h"
#include "plan.h"
#include "rank_progress.h"
#include "stages.h"

namespace blt::patch {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

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
  if (options.ranks.rank >= options.ranks.size)
    throw usage_error(cat("rank ", options.ranks.rank, " of ", options.ranks.size,
                          " is not below the number of ranks"));
  if (options.ranks.size > 1 && options.force)
    throw usage_error("--force is for one process alone: another would lose its work",
                      cat("remove ", options.output, " and ", options.output,
                          ".partial before the processes start"));
}

void warn_skipped(std::uint64_t skipped, const std::vector<std::string>& messages,
                  Reporter& reporter) {
  if (skipped == 0) return;
  for (const auto& message : messages) reporter.detail(message);
  reporter.problem(
      cat("skipped ", skipped, skipped == 1 ? " bad record or file" : " bad records or files",
          ", listed in the manifest", messages.empty() ? "" : "; the first: " + messages.front()));
}

class Pipeline {
 public:
  Pipeline(const PipelineOptions& options, EntropySource* source, Reporter& reporter)
      : options_(options),
        many_(options.ranks.size > 1),
        source_(source),
        reporter_(reporter),
        partial_(options.output) {
    check_options(options_, source_ != nullptr);
    result_.rules = options_.rules;
    result_.ranks = options_.ranks;
  }

  PipelineResult run() {
    const auto start = Clock::now();
    check_output();
    describe_work();
    if (options_.dry_run) {
      look();
    } else if (!finished_by_another()) {
      if (many_) check_output_path(options_.output, false);
      make();
    }
    result_.seconds = seconds_since(start);
    return std::move(result_);
  }

 private:
  bool wants_entropies() const {
    return needs_entropies(options_.rules.scheme) || options_.writer.entropies;
  }

  // Before anything long. For one of many what exists may be the very run, complete already.
  void check_output() {
    if (std::filesystem::exists(options_.output)) partial_.remove_rest();
    check_output_path(options_.output, options_.force || many_);
  }

  void describe_work() {
    plan_.files = input_files(options_.corpus.inputs);
    for (const auto& file : plan_.files) result_.files.push_back(file.path);
    repeatable_ = can_be_read_twice(result_.files);
    if (!repeatable_ && many_)
      throw usage_error("standard input and pipes cannot be shared out among processes");
    if (repeatable_)
      for (const auto& file : plan_.files) result_.file_bytes += file.bytes;
    Corpus checked(options_.corpus, {}, lines_);
    open_model();
    if (wants_entropies())
      plan_.entropy_model = {{"path", options_.entropy_model}, {"digest", source_->digest()}};
    plan_.options = plan_options(options_, wants_entropies() ? source_->digest() : "");
  }

  void open_model() {
    if (!wants_entropies() || source_) return;
    opened_ = std::make_unique<OneThreadSource>(
        [&] { return neural_networks().open_entropy_source(options_.entropy_model, options_.model); });
    source_ = opened_.get();
  }

  // What a dry run tells of an earlier run.
  void look() {
    if (options_.force) return;
    if (const auto found = partial_.plan()) {
      adopt(*found);
      read_records();
    }
  }

  void make() {
    try {
      partial_.open(!many_, options_.force || !repeatable_);
      opened_partial_ = true;
      agree_on_plan();
      if (agreed_ && !finished_by_another()) do_parts();
    } catch (const Error& error) {
      if (!finished_by_another()) fail(error);
    }
    if (result_.signal && !many_ && result_.parts_done == 0) partial_.remove();
  }

  // The plan that lies in the folder, else ours: the first process to publish one decides for all.
  // Each that finds none fits the threshold: to wait for one that may die would not be faster.
  void agree_on_plan() {
    if (const auto found = partial_.plan()) {
      adopt(*found);
    } else {
      if (!repeatable_) whole_ = std::make_unique<Corpus>(options_.corpus);
      if (options_.mean_patch_size) fit_threshold();
      if ((result_.signal = stop_signal())) return;
      if (repeatable_)
        plan_.parts =
            cut_parts(plan_.files, options_.corpus.documents, options_.writer.shard_bytes);
      else
        plan_.parts = {{0, plan_.files.size()}};
      if (!partial_.publish(to_json(plan_))) adopt(partial_.plan().value());
    }
    agreed_ = true;
    result_.calibration = plan_.calibration;
    if (plan_.calibration) result_.rules.threshold = plan_.calibration->threshold;
    read_records();
  }

  void adopt(const Json& json) {
    const std::string hint =
        many_ ? cat("the same options go on; without ", partial_.path(), " they begin anew")
              : "the same options go on; --force begins anew";
    const Plan earlier =
        with_context(partial_.path() + "/plan.json", [&] { return plan_from_json(json); });
    require_same(plan_, earlier, partial_.path(), hint);
    plan_.parts = earlier.parts;
    plan_.calibration = earlier.calibration;
    plan_.entropy_model = earlier.entropy_model;
  }

  void fit_threshold() {
    Sample sample = whole_ ? whole_->sample(options_.sample_bytes, options_.seed)
                           : Corpus(options_.corpus).sample(options_.sample_bytes, options_.seed);
    if (stop_signal()) return;
    reporter_.info(cat("fitting the threshold on ", format_bytes(static_cast<double>(sample.bytes)),
                       " of the corpus"));
    add_entropies(sample, *source_, options_.rules.newline_reset, reporter_);
    if (stop_signal()) return;
    plan_.calibration = calibrate(sample, options_.rules, *options_.mean_patch_size);
    tell_fit(*plan_.calibration, *options_.mean_patch_size, options_.seed, reporter_);
  }

  bool mine(std::size_t part) const { return part % options_.ranks.size == options_.ranks.rank; }

  void read_records() {
    records_.resize(plan_.parts.size());
    for (std::size_t part = 0; part < records_.size(); ++part)
      if (!records_[part]) records_[part] = partial_.record(part);
    result_.parts = records_.size();
    result_.parts_done = static_cast<std::size_t>(std::count_if(
        records_.begin(), records_.end(), [](const auto& record) { return record.has_value(); }));
  }

  void do_parts() {
    if (result_.parts_done > 0)
      reporter_.info(
          cat(partial_.path(), ": ", result_.parts_done, " of ", result_.parts, " parts are done"));
    partial_.clean([&](std::size_t part) { return mine(part); });
    std::vector<std::size_t> parts;
    for (std::size_t part = 0; part < records_.size(); ++part)
      if (mine(part) && !records_[part]) parts.push_back(part);
    RankProgress progress(plan_, options_.ranks, records_, partial_, reporter_);
    write_parts(parts, progress);
    read_records();
    const bool all = result_.parts_done == result_.parts;
    if (!all && finished_by_another()) return;
    add_up(all);
    if (all)
      finish();
    else
      result_.signal = stop_signal();
    progress.tell(true);
  }

  void write_parts(const std::vector<std::size_t>& parts, RankProgress& progress) {
    StageOptions stages;
    stages.rules = result_.rules;
    stages.writer = options_.writer;
    stages.source = wants_entropies() ? source_ : nullptr;
    stages.batch_bytes =
        stages.source ? std::max<std::uint64_t>(source_->batch_bytes(), 1) : options_.batch_bytes;
    stages.folder = partial_.shards();
    StageEvents events;
    events.open = [&](std::size_t part) {
      if (whole_) return std::move(whole_);
      return std::make_unique<Corpus>(options_.corpus, plan_.pieces(part), lines_);
    };
    events.written = [&](const BatchCounts& batch) { progress.add(batch); };
    events.done = [&](std::size_t part, const PartRecord& record) {
      partial_.write_record(part, record);
      records_[part] = record;
    };
    run_stages(stages, parts, events);
  }

  // Of all parts, or of this rank's.
  void add_up(bool all) {
    std::vector<std::string> messages;
    for (std::size_t part = 0; part < records_.size(); ++part) {
      if (!records_[part] || !(all || mine(part))) continue;
      const PartRecord& record = *records_[part];
      for (const auto& shard : record.shards) {
        result_.documents += shard.documents;
        result_.bytes += shard.bytes;
        result_.patches += shard.patches;
        result_.shard_bytes += shard.file_bytes;
        ++result_.shards;
      }
      result_.skipped += record.skipped;
      result_.left_out += record.left_out;
      messages.insert(messages.end(), record.skipped_records.begin(), record.skipped_records.end());
    }
    warn_skipped(result_.skipped, messages, reporter_);
  }

  void finish() {
    shard::Manifest manifest;
    Json messages = Json::array();
    for (const auto& record : records_) {
      manifest.shards.insert(manifest.shards.end(), record->shards.begin(), record->shards.end());
      for (const auto& message : record->skipped_records) messages.push_back(message);
    }
    if (manifest.shards.empty()) {
      partial_.remove();
      opened_partial_ = false;
      throw input_error("the corpus has no documents",
                        result_.left_out ? "they are all in the other half (--split)" : "");
    }
    manifest.patching = rules_json(result_.rules);
    if (plan_.calibration) {
      manifest.patching["calibration"] =
          calibration_json(*plan_.calibration, *options_.mean_patch_size, options_.seed);
    }
    manifest.entropy_model = plan_.entropy_model;
    manifest.has_entropies = options_.writer.entropies;
    manifest.extra = {{"corpus", options_.corpus.inputs},       {"split", options_.corpus.split},
                      {"held_out", options_.corpus.held_out},   {"skipped", result_.skipped},
                      {"skipped_records", std::move(messages)}, {"plan_xxh3", plan_.digest()}};
    partial_.finish(manifest, options_.output,
                    options_.force && std::filesystem::exists(options_.output));
    result_.complete = true;
  }

  // Where many are at work, the output may be complete before this process has looked at it.
  bool finished_by_another() {
    if (!many_ || !std::filesystem::exists(options_.output)) return false;
    try {
      const shard::Manifest manifest = shard::read_manifest(options_.output);
      if (manifest.extra.at("plan_xxh3") != plan_.digest()) return false;
      result_.shard_bytes = 0;
      result_.documents = manifest.documents();
      result_.bytes = manifest.bytes();
      result_.patches = manifest.patches();
      result_.shards = manifest.shards.size();
      for (const auto& shard : manifest.shards) result_.shard_bytes += shard.file_bytes;
    } catch (const std::exception&) {
      return false;
    }
    if (opened_partial_) partial_.remove();
    result_.complete = true;
    reporter_.info(cat(options_.output, ": complete already"));
    return true;
  }

  // What is done stays; nothing stays where nothing is.
  [[noreturn]] void fail(const Error& error) {
    if (!agreed_ && opened_partial_ && !many_ && !partial_.plan()) partial_.remove();
    if (!agreed_ || !opened_partial_) throw error;
    read_records();
    if (!many_ && result_.parts_done == 0) {
      partial_.remove();
      throw error;
    }
    throw Error(error.kind(), error.what(),
                cat(error.hint(), error.hint().empty() ? "" : "; ", result_.parts_done, " of ",
                    result_.parts, " parts are done, and the same command goes on with the rest"));
  }

  const PipelineOptions& options_;
  const bool many_;
  EntropySource* source_;
  std::unique_ptr<EntropySource> opened_;
  Reporter& reporter_;
  PartialFolder partial_;
  bool opened_partial_ = false, agreed_ = false;
  PipelineResult result_;
  Plan plan_;
  bool repeatable_ = true;
  std::unique_ptr<Corpus> whole_;  // of inputs that can be read only once
  io::LineCounter lines_;
  std::vector<std::optional<PartRecord>> records_;
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
  if (result.ranks.size > 1) {
    json["rank"] = result.ranks.rank;
    json["world_size"] = result.ranks.size;
    json["parts"] = result.parts;
    json["parts_done"] = result.parts_done;
    json["complete"] = result.complete;
  }
  if (result.calibration) {
    json["calibration"] = {{"patch_size", result.calibration->patch_size},
                           {"sample_bytes", result.calibration->bytes},
                           {"sample_patches", result.calibration->patches}};
  }
  return json;
}

}  // namespace blt::patch
