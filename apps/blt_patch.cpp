// SPDX-License-Identifier: MIT
// blt-patch: corpus -> shards, and looking into them.
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "blt/base/error.h"
#include "blt/base/ranks.h"
#include "blt/base/signals.h"
#include "blt/base/units.h"
#include "blt/config/patch_config.h"
#include "blt/config/program.h"
#include "blt/patch/compare_types.h"
#include "blt/patch/export.h"
#include "blt/patch/json_lines.h"
#include "blt/patch/pipeline.h"
#include "blt/patch/records.h"
#include "blt/patch/recut.h"
#include "blt/patch/show.h"

namespace {

using namespace blt;
using config::Invocation;

// False when standard output takes no more; run_program() tells why.
bool emit(const std::string& text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
}

patch::CorpusOptions corpus_options(const PatchCorpusConfig& c) {
  patch::CorpusOptions options;
  options.inputs = c.inputs;
  options.documents.format = c.format;
  options.documents.split_lines = c.split_lines;
  options.documents.field = c.field;
  options.documents.group_field = c.group_field;
  options.documents.on_error = c.on_error;
  options.held_out = c.held_out;
  options.split = c.split;
  return options;
}

// Refuses options that the scheme would ignore.
patch::Rules rules_of(const PatchRulesConfig& c) {
  patch::Rules rules;
  rules.scheme = patch::parse_scheme(c.scheme);
  const bool sized = rules.scheme == patch::Scheme::topk || rules.scheme == patch::Scheme::strided;
  if (c.threshold && !patch::has_threshold(rules.scheme))
    throw usage_error(cat("--threshold: scheme ", c.scheme, " has none"));
  if (c.threshold && c.patch_size)
    throw usage_error("--threshold and --patch-size exclude each other");
  if (c.patch_size && !sized && !patch::has_threshold(rules.scheme)) {
    throw usage_error(cat("--patch-size: scheme ", c.scheme, " has none"));
  }
  if (c.threshold) rules.threshold = *c.threshold;
  if (c.patch_size && sized) rules.patch_size = *c.patch_size;
  rules.threshold_add = c.threshold_add;
  rules.max_patch_length = c.max_patch_length;
  rules.newline_reset = c.newline_reset;
  return rules;
}

// For commands that do not fit thresholds.
patch::Rules rules_without_fit(const PatchRulesConfig& c) {
  patch::Rules rules = rules_of(c);
  if (c.patch_size && patch::has_threshold(rules.scheme)) {
    throw usage_error(cat("--patch-size: scheme ", c.scheme, " is cut by a threshold here"),
                      "blt-patch calibrate finds it");
  }
  return rules;
}

ModelOptions model_options(const PatchModelConfig& c, const Invocation& invocation) {
  ModelOptions options = c.options;
  options.threads = invocation.common.threads;
  return options;
}

// Rules, and the mean patch size that a threshold is to be fitted to.
patch::Rules rules_with_fit(const PatchRulesConfig& c, std::optional<double>& mean_patch_size) {
  const patch::Rules rules = rules_of(c);
  if (patch::has_threshold(rules.scheme)) {
    if (!c.threshold && !c.patch_size) {
      throw usage_error(cat("scheme ", c.scheme, " needs --threshold or --patch-size"),
                        "--patch-size 4.5 fits the threshold to this mean size");
    }
    mean_patch_size = c.patch_size;
  }
  return rules;
}

template <class Config>
std::string report_text(const patch::PipelineResult& result, const Config& c) {
  const auto count = [](std::uint64_t n) { return format_count(static_cast<double>(n)); };
  const auto bytes = [](std::uint64_t n) { return format_bytes(static_cast<double>(n)); };
  if (c.dry_run) {
    const std::string size = result.file_bytes ? cat(" (", bytes(result.file_bytes), ")") : "";
    const std::string done = result.parts_done ? cat("; ", result.parts_done, " of ", result.parts,
                                                     " parts are done already")
                                               : "";
    return cat("would read ", result.files.size(), result.files.size() == 1 ? " file" : " files",
               size, " and write ", c.output, done, "\n");
  }
  const bool share = result.ranks.size > 1 && !result.complete;
  const std::string head = share ? cat(c.output, ", rank ", result.ranks.rank, " of ", result.ranks.size, ": ")
                                 : c.output + ": ";
  std::string text =
      cat(head, count(result.documents), " documents, ", bytes(result.bytes), ", ",
          count(result.patches), " patches, ", format_fixed(result.mean_patch_size(), 3),
          " bytes a patch, in ", result.shards, result.shards == 1 ? " shard of " : " shards of ",
          bytes(result.shard_bytes), "\n");
  if (share)
    text += cat("waiting for other ranks: ", result.parts_done, " of ", result.parts, " parts are done\n");
  if (result.left_out)
    text += cat("left out: ", count(result.left_out), " documents of the other half\n");
  return text;
}

template <class Config>
int report(const patch::PipelineResult& result, const Config& c, Invocation& invocation) {
  if (result.signal) {
    invocation.reporter.warn(
        cat("stopped by signal ", result.signal, "; ",
            result.parts_done == 0
                ? "nothing was written"
                : cat(result.parts_done, " of ", result.parts,
                      " parts are done, and the same command goes on with the rest")));
    return 128 + result.signal;
  }
  emit(c.json ? dump_json(patch::to_json(result), 2) + "\n" : report_text(result, c));
  return 0;
}

// What the options say, else the launcher.
Ranks ranks_of(const PatchConfig& c) {
  if (c.rank.has_value() != c.world_size.has_value())
    throw usage_error("--rank and --world-size go together");
  if (c.rank) return {static_cast<std::size_t>(*c.rank), static_cast<std::size_t>(*c.world_size)};
  return ranks_of_environment().value_or(Ranks{});
}

int run_shards(const PatchConfig& c, Invocation& invocation) {
  patch::PipelineOptions options;
  options.corpus = corpus_options(c.corpus);
  options.output = c.output;
  options.force = c.force;
  options.dry_run = c.dry_run;
  options.ranks = ranks_of(c);
  options.rules = rules_with_fit(c.rules, options.mean_patch_size);
  options.sample_bytes = static_cast<std::uint64_t>(c.sample_size);
  options.seed = static_cast<std::uint64_t>(c.seed);
  options.entropy_model = c.model.entropy_model;
  options.model = model_options(c.model, invocation);
  options.writer.shard_bytes = static_cast<std::uint64_t>(c.shard_size);
  options.writer.compression_level = static_cast<int>(c.level);
  options.writer.entropies = c.keep_entropies;
  if (c.entropy_type == "float32") {
    if (!c.keep_entropies) throw usage_error("--entropy-type is no use without --keep-entropies");
    options.writer.entropy_type = shard::EntropyType::float32;
  }
  const patch::PipelineResult result = patch::make_shards(options, nullptr, invocation.reporter);
  return report(result, c, invocation);
}

int run_recut(const RecutConfig& c, Invocation& invocation) {
  patch::RecutOptions options;
  options.shards = c.inputs;
  options.output = c.output;
  options.force = c.force;
  options.dry_run = c.dry_run;
  options.rules = rules_with_fit(c.rules, options.mean_patch_size);
  options.sample_bytes = static_cast<std::uint64_t>(c.sample_size);
  options.seed = static_cast<std::uint64_t>(c.seed);
  options.drop_entropies = c.drop_entropies;
  options.writer.shard_bytes = static_cast<std::uint64_t>(c.shard_size);
  options.writer.compression_level = static_cast<int>(c.level);
  return report(patch::recut_shards(options, invocation.reporter), c, invocation);
}

int run_cut(const CutConfig& c, Invocation& invocation) {
  patch::CutOptions options;
  options.rules = rules_without_fit(c.rules);
  options.rules.include_next_token = c.include_next;
  options.eos = c.eos;
  options.training_form = c.training_form;
  const auto inputs = c.inputs.empty() ? std::vector<std::string>{"-"} : c.inputs;
  const auto counts = patch::cut_lines(inputs, options, c.on_error, emit, invocation.reporter);
  return counts.signal ? 128 + counts.signal : 0;
}

int run_show(const ShowConfig& c, Invocation& invocation) {
  const bool stored = patch::is_shards(c.corpus.inputs.front());
  const patch::Rules rules = stored ? patch::Rules{} : rules_without_fit(c.rules);
  std::unique_ptr<EntropySource> source;
  if (!stored && patch::needs_entropies(rules.scheme) && !c.model.entropy_model.empty()) {
    source = neural_networks().open_entropy_source(c.model.entropy_model,
                                                   model_options(c.model, invocation));
  }
  patch::Records records(corpus_options(c.corpus), rules, source.get());
  const patch::ShowOptions options{use_color(invocation.common.color, STDOUT_FILENO),
                                   static_cast<std::uint64_t>(c.max_bytes)};
  shard::Record record;
  for (std::int64_t shown = 0; (c.limit == 0 || shown < c.limit) && records.next(record); ++shown) {
    if (stop_signal()) return 128 + stop_signal();
    if (!emit(c.json ? patch::show_json(record, options) : patch::show_text(record, options)))
      break;
  }
  return 0;
}

int run_cat(const CatConfig& c) {
  std::uint64_t skip = static_cast<std::uint64_t>(c.skip);
  std::int64_t written = 0;
  shard::Record record;
  for (const auto& input : c.inputs) {
    shard::Reader reader(input);
    const std::uint64_t passed = std::min(skip, reader.size());
    skip -= passed;
    reader.seek(passed);
    while ((c.limit == 0 || written < c.limit) && reader.next(record)) {
      if (stop_signal()) return 128 + stop_signal();
      if (!emit(patch::to_json_line(record, c.entropies))) return 0;
      ++written;
    }
  }
  return 0;
}

int run_verify(const VerifyConfig& c) {
  Json report = Json::array();
  std::size_t problems = 0;
  for (const auto& folder : c.folders) {
    const shard::VerifyResult result = shard::verify(folder);
    problems += result.problems.size();
    if (c.json) {
      report.push_back({{"folder", folder},
                        {"documents", result.documents},
                        {"bytes", result.bytes},
                        {"patches", result.patches},
                        {"problems", result.problems}});
      continue;
    }
    for (const auto& problem : result.problems) emit(cat(folder, ": ", problem, "\n"));
    emit(cat(folder, ": ", result.problems.empty() ? "whole" : "damaged", ", ", result.documents,
             " documents, ", result.bytes, " bytes, ", result.patches, " patches\n"));
  }
  if (c.json) emit(dump_json(report, 2) + "\n");
  return problems ? 1 : 0;
}

int run_export(const ExportConfig& c, Invocation& invocation) {
  const patch::ExportResult result =
      patch::export_arrow({c.inputs, c.output, c.force, c.on_error}, invocation.reporter);
  if (result.signal) return 128 + result.signal;
  emit(cat(c.output, ": ", format_count(static_cast<double>(result.documents)), " documents, ",
           format_bytes(static_cast<double>(result.bytes)), " of text in ",
           format_bytes(static_cast<double>(result.file_bytes)), "\n"));
  return 0;
}

patch::Sample calibration_sample(const CalibrateConfig& c, Invocation& invocation) {
  const auto bytes = static_cast<std::uint64_t>(c.sample_size),
             seed = static_cast<std::uint64_t>(c.seed);
  if (patch::is_shards(c.corpus.inputs.front()))
    return patch::sample_shards(c.corpus.inputs, c.newline_reset, bytes, seed);
  if (c.model.entropy_model.empty()) {
    throw usage_error(
        "thresholds need entropies",
        "--entropy-model DIR names a byte LM, or give shards made with --keep-entropies");
  }
  patch::Corpus corpus(corpus_options(c.corpus));
  const auto source = neural_networks().open_entropy_source(c.model.entropy_model,
                                                            model_options(c.model, invocation));
  patch::Sample sample = corpus.sample(bytes, seed);
  if (!stop_signal()) patch::add_entropies(sample, *source, c.newline_reset, invocation.reporter);
  return sample;
}

void check_comparison(const CalibrateConfig& c) {
  if (!c.compare_dtypes) return;
  if (patch::is_shards(c.corpus.inputs.front()))
    throw usage_error("--compare-dtypes: shards keep the entropies of one type", "give the corpus and --entropy-model");
  if (c.model.options.dtype != "auto" && c.model.options.dtype != "float32")
    throw usage_error(cat("--compare-dtypes compares with float32, and --dtype is ", c.model.options.dtype));
}

std::vector<patch::TypeDifference> compare_types(const CalibrateConfig& c, Invocation& invocation, const patch::Sample& sample,
                                                 const patch::Rules& rules, const std::vector<patch::CalibrationRow>& rows) {
  std::vector<patch::TypeDifference> out;
  ModelOptions options = model_options(c.model, invocation);
  for (const char* dtype : {"bfloat16", "int8"}) {
    if (options.device != "cpu" && dtype == std::string("int8")) continue;
    options.dtype = dtype;
    patch::Sample other = sample;
    patch::add_entropies(other, *neural_networks().open_entropy_source(c.model.entropy_model, options), c.newline_reset, invocation.reporter);
    if (stop_signal()) break;
    out.push_back(patch::compare_types(dtype, sample, other, rules, rows));
  }
  return out;
}

int run_calibrate(const CalibrateConfig& c, Invocation& invocation) {
  check_comparison(c);
  patch::Rules rules;
  rules.threshold_add = c.threshold_add;
  rules.max_patch_length = c.max_patch_length;
  rules.newline_reset = c.newline_reset;
  std::vector<patch::Scheme> schemes;
  for (const auto& name : c.schemes) schemes.push_back(patch::parse_scheme(name));
  const patch::Sample sample = calibration_sample(c, invocation);
  if (stop_signal()) return 128 + stop_signal();
  auto rows = patch::calibrate_all(sample, rules, schemes, c.patch_sizes);
  patch::add_intervals(rows, sample, rules, static_cast<std::uint64_t>(c.seed));
  std::vector<patch::TypeDifference> types;
  if (c.compare_dtypes) types = compare_types(c, invocation, sample, rules, rows);
  if (stop_signal()) return 128 + stop_signal();
  if (c.json) {
    Json report = {{"sample_bytes", sample.bytes},
                         {"sample_pieces", sample.texts.size()},
                         {"seed", c.seed},
                         {"thresholds", patch::to_json(rows)}};
    if (c.compare_dtypes) report["dtypes"] = patch::to_json(types);
    emit(dump_json(report, 2) + "\n");
  } else {
    emit(cat("sample: ", format_bytes(static_cast<double>(sample.bytes)), " in ",
             sample.texts.size(), " pieces, seed ", c.seed, "\n", patch::to_text(rows),
             c.compare_dtypes ? "\n" + patch::to_text(types) : ""));
  }
  return 0;
}

// A command and its config, which lives as long as the program.
template <class Config, class Run>
config::Command command(Config& c, std::string name, std::string brief, std::string description,
                        std::vector<config::Example> examples, Run run) {
  config::Command made{
      std::move(name), std::move(brief), std::move(description), std::move(examples), {}, {}};
  config::describe(made.fields, c);
  made.run = [&c, run](Invocation& invocation) {
    if constexpr (std::is_invocable_v<Run, const Config&>)
      return run(c);
    else
      return run(c, invocation);
  };
  return made;
}

}  // namespace

int main(int argc, char** argv) {
  PatchConfig patch_config;
  CutConfig cut_config;
  ShowConfig show_config;
  CatConfig cat_config;
  VerifyConfig verify_config;
  RecutConfig recut_config;
  ExportConfig export_config;
  CalibrateConfig calibrate_config;
  config::Program program;
  program.name = "blt-patch";
  program.brief = "cuts a corpus into patches and writes shards";
  program.description =
      "Reads documents, cuts their bytes into patches by entropy or by simpler rules, and writes "
      "shards that blt-train and blt-stats "
      "read. Other commands cut rows of JSON lines, show, restore and verify shards, and find "
      "thresholds.";
  program.commands = {
      command(patch_config, "", "cut a corpus and write shards",
              "Each document is cut over BOS, its bytes and EOS. What is written depends on corpus "
              "and options alone, not on the threads.",
              {{"blt-patch corpus.jsonl.zst -o shards --scheme space", "cut at spaces"},
               {"blt-patch docs/ -o shards -m entropy-model --patch-size 4.5",
                "by entropy, the threshold fitted to 4.5 bytes a patch"},
               {"blt-patch docs/ -o shards -m entropy-model --threshold 1.335442066192627",
                "with a known threshold"},
               {"blt-patch docs/ -o train --scheme space --held-out 0.05 --split train",
                "without the held-out documents"}},
              run_shards),
      command(
          cut_config, "cut", "cut rows of JSON lines",
          "Reads JSON objects, one a line, and writes them back with \"patch_lengths\": for "
          "entropies that are there already.",
          {{"blt-patch cut --scheme entropy --threshold 1.3 rows.jsonl",
            "tokens and entropies -> patch lengths"},
           {"echo '{\"text\": \"Hello, world!\"}' | blt-patch cut --scheme space --include-next",
            "text -> patch lengths"}},
          run_cut),
      command(show_config, "show", "print documents with visible patch borders",
              "Reads shards, or a corpus with the options that cut it.",
              {{"blt-patch show shards --limit 3", "the first documents of shards"},
               {"blt-patch show --scheme space README.md", "how a file would be cut"}},
              run_show),
      command(cat_config, "cat", "write shards as JSON lines",
              "Objects with id, group, text and patch_lengths. Text that is not valid UTF-8 is "
              "written as bytes_base64.",
              {{"blt-patch cat shards | zstd > corpus.jsonl.zst", "the corpus back"}}, run_cat),
      command(verify_config, "verify", "check sums, tiling and manifest of shards",
              "Exit code 1 tells of damage.", {{"blt-patch verify shards", "check everything"}},
              run_verify),
      command(recut_config, "recut", "cut shards anew from the entropies that they keep",
              "Reads shards made with --keep-entropies and writes shards with other patches, without "
              "a model. Schemes without entropies cut any shards. Entropies kept as float16 are "
              "rounded: where one lies within half a float16 step of the threshold, a boundary may "
              "differ from the one that the model gave; float32 gives the same.",
              {{"blt-patch recut shards --threshold 1.2 -o finer", "another threshold"},
               {"blt-patch recut shards --scheme monotonic --patch-size 6 -o larger",
                "a threshold fitted on the shards' own entropies"}},
              run_recut),
      command(export_config, "export", "write shards as files of other programs",
              "Writes documents and the entropies that their shards keep (--keep-entropies); those of "
              "float32 are rounded to float16.",
              {{"blt-patch export shards --to arrow -o pile.chunk.00.jsonl.shard_00.arrow",
                "for Meta's loader, which finds files by such names"}},
              run_export),
      command(
          calibrate_config, "calibrate", "find thresholds for mean patch sizes",
          "Fits thresholds on a sample of the corpus. The intervals tell how far threshold and mean "
          "patch size may lie from those of the whole corpus, with a probability of 95 %, by a "
          "bootstrap over the sample's documents (over its pieces of 4 KiB where it has less than 20 "
          "documents). With groups (--group-field, or in the shards), such as languages, their mean patch sizes at the "
          "threshold of all are told too, and the thresholds that give each group the wished size.",
          {{"blt-patch calibrate docs/ -m entropy-model --patch-size 4,4.5,6", "for three sizes"},
           {"blt-patch calibrate corpus.jsonl -m entropy-model --group-field lang", "and for each language"},
           {"blt-patch calibrate docs/ -m entropy-model --compare-dtypes", "what bfloat16 and int8 would change"}},
          run_calibrate),
  };
  return config::run_program(std::move(program), argc, argv);
}
