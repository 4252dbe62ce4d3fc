// SPDX-License-Identifier: MIT
#include "blt/stats/lengths.h"

#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>

#include "blt/base/error.h"
#include "blt/base/signals.h"
#include "blt/config/stats_config.h"
#include "blt/patch/calibrate.h"
#include "blt/patch/entropy_source.h"
#include "blt/patch/segmenter.h"
#include "blt/stats/inputs.h"
#include "blt/text/bpe.h"
#include "specs.h"

namespace blt::stats {
namespace {

constexpr std::uint64_t batch_bytes = 4u << 20;  // of text, measured by all threads at once

// What is measured, in the order of the report: schemes, the shards' own patches, tokenizers.
struct Plan {
  std::vector<SchemeSpec> schemes;
  bool shard_patches = false;
  std::vector<std::shared_ptr<const text::Tokenizer>> tokenizers;
  std::vector<TokenizerSpec> tokenizer_specs;

  std::size_t size() const { return schemes.size() + shard_patches + tokenizers.size(); }
  bool needs_entropies() const {
    return std::any_of(schemes.begin(), schemes.end(),
                       [](const auto& s) { return patch::needs_entropies(s.rules.scheme); });
  }
  bool needs_fit() const {
    return std::any_of(schemes.begin(), schemes.end(),
                       [](const auto& s) { return s.fit_size.has_value(); });
  }
};

Plan make_plan(const LengthsConfig& config, const InputReader& reader) {
  Plan plan;
  for (const auto& text : config.schemes) plan.schemes.push_back(parse_scheme_spec(text));
  for (const auto& text : config.tokenizers) {
    plan.tokenizer_specs.push_back(parse_tokenizer_spec(text));
    const auto& spec = plan.tokenizer_specs.back();
    plan.tokenizers.push_back(text::Tokenizer::open(spec.path, spec.split));
  }
  plan.shard_patches = reader.has_shards();
  if (plan.schemes.empty() && plan.tokenizers.empty()) {
    plan.schemes = {parse_scheme_spec("space"), parse_scheme_spec("strided:4")};
  }
  return plan;
}

using Counts = std::vector<LengthCounts>;  // one a measure

// One thread's encoders and sums. Sums of whole numbers: the order in which threads add up changes
// nothing.
struct Worker {
  std::vector<text::Encoder> encoders;
  std::vector<Counts> groups;
  std::vector<text::Token> tokens;
};

class Measurer {
 public:
  Measurer(const LengthsConfig& config, EntropySource* source, InputReader& reader,
           Reporter& reporter)
      : config_(config),
        source_(source),
        reader_(reader),
        reporter_(reporter),
        plan_(make_plan(config, reader)) {
    if (plan_.needs_entropies() && !source_ && !reader_.has_entropies()) {
      throw usage_error(
          "a scheme needs entropies: name a byte LM with --model, or give shards that hold "
          "entropies");
    }
  }

  LengthsReport run() {
    if (plan_.needs_fit()) fit();
    while (!stop_signal() && read_batch()) measure_batch();
    reporter_.progress({"lengths", reader_.done(), reader_.total(), "B", {}, true});
    warn_skipped(reader_, reporter_);
    if (!any_ && !stop_signal()) throw input_error("the inputs have no documents");
    return report();
  }

 private:
  struct Item {
    InputDocument input;
    std::size_t group = 0;
    std::vector<patch::TokenId> ids;  // BOS + text + EOS
  };

  bool read_batch() {
    const bool asked = source_ && plan_.needs_entropies();
    const std::uint64_t limit =
        asked ? std::max<std::uint64_t>(source_->batch_bytes(), 1) : batch_bytes;
    std::uint64_t bytes = 0;
    while (bytes < limit) {
      Item item;
      if (!reader_.next(item.input)) break;
      any_ = true;
      bytes += item.input.document.text.size() + 2;
      item.group = group_of(item.input.document);
      if (!plan_.schemes.empty()) item.ids = patch::encode(item.input.document.text);
      batch_.push_back(std::move(item));
    }
    if (asked) find_entropies();
    return !batch_.empty();
  }

  std::size_t group_of(const io::Document& document) {
    const auto [found, fresh] = group_numbers_.emplace(document.group, group_numbers_.size());
    if (fresh) groups_.push_back({document.group, 0, 0, {}});
    ++groups_[found->second].documents;
    groups_[found->second].bytes += document.text.size();
    return found->second;
  }

  void find_entropies() {
    std::vector<std::string_view> texts;
    for (const auto& item : batch_) texts.push_back(item.input.document.text);
    auto entropies = patch::document_entropies(*source_, texts, false);
    for (std::size_t i = 0; i < batch_.size(); ++i)
      batch_[i].input.entropies = std::move(entropies[i]);
  }

  // A pass over the inputs of its own: the sample comes evenly out of all of them.
  void fit() {
    const auto& inputs = config_.input.inputs;
    if (std::find(inputs.begin(), inputs.end(), "-") != inputs.end()) {
      throw usage_error(
          "a fitted scheme reads its inputs twice, which standard input does not allow",
          "give a threshold, or a file");
    }
    InputReader reader(config_.input);
    patch::Sampler sampler(static_cast<std::uint64_t>(config_.sample_size),
                           static_cast<std::uint64_t>(config_.seed));
    InputDocument input;
    while (!stop_signal() && reader.next(input)) {
      if (source_)
        sampler.add(input.document.text);
      else
        sampler.add(input.document.text, std::move(input.entropies));
    }
    if (stop_signal()) return;
    patch::Sample sample = sampler.take();
    if (source_) patch::add_entropies(sample, *source_, false, &reporter_);
    if (stop_signal()) return;
    for (auto& scheme : plan_.schemes) {
      if (!scheme.fit_size) continue;
      with_context(cat("--scheme ", scheme.text), [&] {
        scheme.rules.threshold = patch::calibrate(sample, scheme.rules, *scheme.fit_size).threshold;
      });
    }
  }

  void measure_batch() {
    tbb::parallel_for(std::size_t{0}, batch_.size(),
                      [&](std::size_t i) { measure(batch_[i], workers_.local()); });
    batch_.clear();
    reporter_.progress({"lengths", reader_.done(), reader_.total(), "B", {}, false});
  }

  void measure(const Item& item, Worker& worker) const {
    if (worker.encoders.size() < plan_.tokenizers.size()) {
      for (const auto& tokenizer : plan_.tokenizers) worker.encoders.emplace_back(tokenizer);
    }
    if (worker.groups.size() <= item.group) worker.groups.resize(item.group + 1);
    Counts& counts = worker.groups[item.group];
    counts.resize(plan_.size());
    std::size_t measure = 0;
    for (const auto& scheme : plan_.schemes) {
      const std::span<const float> entropies = patch::needs_entropies(scheme.rules.scheme)
                                                   ? item.input.entropies
                                                   : std::span<const float>();
      add_text_lengths(patch::cut(item.ids, entropies, scheme.rules), 1, 1, counts[measure++]);
    }
    if (plan_.shard_patches) {
      if (item.input.sharded) add_text_lengths(item.input.patch_lengths, 1, 1, counts[measure]);
      ++measure;
    }
    for (std::size_t i = 0; i < plan_.tokenizers.size(); ++i) {
      worker.tokens.clear();
      worker.encoders[i].encode(item.input.document.text, worker.tokens);
      LengthCounts& lengths = counts[measure++];
      for (const text::Token token : worker.tokens)
        lengths.add(plan_.tokenizers[i]->bytes(token).size());
    }
  }

  LengthsReport report() {
    LengthsReport out;
    for (const auto& scheme : plan_.schemes)
      out.measures.push_back({scheme.text, "patches", scheme_facts(scheme)});
    if (plan_.shard_patches) out.measures.push_back({"shards", "patches", reader_.patching()});
    for (std::size_t i = 0; i < plan_.tokenizers.size(); ++i) {
      out.measures.push_back({plan_.tokenizer_specs[i].name,
                              "tokens",
                              {{"file", plan_.tokenizer_specs[i].path},
                               {"tokens", plan_.tokenizers[i]->size()},
                               {"split", plan_.tokenizers[i]->split()}}});
    }
    out.skipped = reader_.skipped();
    out.all.lengths.resize(plan_.size());
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      groups_[g].lengths.resize(plan_.size());
      out.all.documents += groups_[g].documents;
      out.all.bytes += groups_[g].bytes;
      for (const Worker& worker : workers_) {
        for (std::size_t m = 0; g < worker.groups.size() && m < worker.groups[g].size(); ++m) {
          groups_[g].lengths[m].add(worker.groups[g][m]);
          out.all.lengths[m].add(worker.groups[g][m]);
        }
      }
    }
    const bool grouped = groups_.size() > 1 || (groups_.size() == 1 && !groups_[0].name.empty());
    if (grouped) out.groups = std::move(groups_);
    std::sort(out.groups.begin(), out.groups.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return out;
  }

  Json scheme_facts(const SchemeSpec& scheme) const {
    Json facts = {{"scheme", patch::scheme_names[static_cast<std::size_t>(scheme.rules.scheme)]}};
    using patch::Scheme;
    const Scheme kind = scheme.rules.scheme;
    if (kind == Scheme::strided || kind == Scheme::topk)
      facts["patch_size"] = scheme.rules.patch_size;
    else if (patch::needs_entropies(kind))
      facts["threshold"] = scheme.rules.threshold;
    if (kind == Scheme::combined) facts["threshold_add"] = scheme.rules.threshold_add;
    if (scheme.rules.max_patch_length) facts["max_patch_length"] = *scheme.rules.max_patch_length;
    if (scheme.fit_size) {
      facts["fitted_to"] = *scheme.fit_size;
      facts["sample_size"] = config_.sample_size;
      facts["seed"] = config_.seed;
    }
    return facts;
  }

  const LengthsConfig& config_;
  EntropySource* source_;
  InputReader& reader_;
  Reporter& reporter_;
  Plan plan_;
  bool any_ = false;  // document read
  std::vector<Item> batch_;
  std::vector<LengthsReport::Group> groups_;
  std::map<std::string, std::size_t> group_numbers_;
  tbb::enumerable_thread_specific<Worker> workers_;
};

}  // namespace

LengthsReport measure_lengths(const LengthsConfig& config, EntropySource* source,
                              Reporter& reporter) {
  InputReader reader(config.input);
  return Measurer(config, source, reader, reporter).run();
}

LengthsReport measure_lengths(const LengthsConfig& config, Reporter& reporter) {
  bool needed = false;
  for (const auto& text : config.schemes)
    needed |= patch::needs_entropies(parse_scheme_spec(text).rules.scheme);
  if (!needed || config.model.empty()) return measure_lengths(config, nullptr, reporter);
  const auto source = neural_networks().open_entropy_source(config.model, config.options);
  return measure_lengths(config, source.get(), reporter);
}

}  // namespace blt::stats
