// SPDX-License-Identifier: MIT
#include "blt/patch/records.h"

#include <algorithm>
#include <filesystem>

#include "blt/base/error.h"
#include "blt/base/signals.h"
#include "blt/patch/segmenter.h"

namespace blt::patch {

bool is_shards(const std::string& path) {
  std::error_code error;
  const std::filesystem::path file(path);
  return file.extension() == ".bltz" || std::filesystem::exists(file / "manifest.json", error);
}

struct Records::Impl {
  std::vector<std::string> folders;  // of shards, the next one at next_folder
  std::size_t next_folder = 0;
  std::unique_ptr<shard::Reader> shards;
  std::unique_ptr<Corpus> corpus;
  Rules rules;
  EntropySource* source = nullptr;

  bool next_stored(shard::Record& record) {
    while (true) {
      if (shards && shards->next(record)) return true;
      if (next_folder == folders.size()) return false;
      shards = std::make_unique<shard::Reader>(folders[next_folder++]);
    }
  }

  bool next_cut(shard::Record& record) {
    io::Document document;
    if (!corpus->next(document)) return false;
    record = {std::move(document.id), std::move(document.group), std::move(document.text), {}, {}};
    if (needs_entropies(rules.scheme)) {
      const std::string_view text = record.text;
      record.entropies =
          std::move(document_entropies(*source, std::span(&text, 1), rules.newline_reset).front());
    }
    record.patch_lengths = cut_document(record.text, record.entropies, rules);
    return true;
  }
};

Records::Records(const CorpusOptions& corpus, const Rules& rules, EntropySource* source)
    : impl_(std::make_unique<Impl>()) {
  const auto shards = std::count_if(corpus.inputs.begin(), corpus.inputs.end(), is_shards);
  if (shards > 0 && static_cast<std::size_t>(shards) < corpus.inputs.size()) {
    throw usage_error("shards and corpus files cannot be mixed");
  }
  if (shards > 0) {
    impl_->folders = corpus.inputs;
    return;
  }
  check_rules(rules);
  if (needs_entropies(rules.scheme) && !source) {
    throw usage_error(cat("scheme ", scheme_name(rules.scheme), " needs entropies"),
                      "--entropy-model DIR names a byte LM");
  }
  impl_->rules = rules;
  impl_->source = source;
  impl_->corpus = std::make_unique<Corpus>(corpus);
}
Records::~Records() = default;

bool Records::next(shard::Record& record) {
  return impl_->corpus ? impl_->next_cut(record) : impl_->next_stored(record);
}

void require_entropies(const std::string& folder, const shard::Manifest& manifest,
                       bool newline_reset) {
  if (!manifest.has_entropies)
    throw usage_error(cat(folder, ": these shards hold no entropies"),
                      "--keep-entropies stores them");
  const bool stored_reset =
      manifest.patching.is_object() && manifest.patching.value("newline_reset", false);
  if (stored_reset != newline_reset) {
    throw usage_error(cat(folder, ": its entropies were made ", stored_reset ? "with" : "without",
                          " --newline-reset"));
  }
}

Sample sample_shards(const std::vector<std::string>& folders, bool newline_reset,
                     std::uint64_t bytes, std::uint64_t seed) {
  Sampler sampler(bytes, seed);
  for (const auto& folder : folders) {
    shard::Reader reader(folder);
    require_entropies(folder, reader.manifest(), newline_reset);
    for (shard::Record record; !stop_signal() && reader.next(record);)
      sampler.add(record.text, std::move(record.entropies), record.group);
  }
  return stop_signal() ? Sample{} : sampler.take();
}

}  // namespace blt::patch
