// SPDX-License-Identifier: MIT
#include "blt/patch/corpus.h"

#include <algorithm>
#include <filesystem>

#include "blt/base/error.h"
#include "blt/base/signals.h"

namespace blt::patch {
namespace {

void check_options(const CorpusOptions& options) {
  const auto& split = options.split;
  if (split != "all" && split != "train" && split != "held-out") {
    throw usage_error(cat("split '", split, "' is not one of all, train, held-out"));
  }
  if (!(options.held_out >= 0 && options.held_out < 1))
    throw usage_error("the share held out is not in [0, 1)");
  if (split != "all" && options.held_out == 0) {
    throw usage_error(cat("split '", split, "' of a corpus of which nothing is held out"),
                      "--held-out tells the share");
  }
}

}  // namespace

bool can_be_read_twice(const std::vector<std::string>& files) {
  return std::all_of(files.begin(), files.end(), [](const std::string& file) {
    std::error_code error;
    return file != "-" && std::filesystem::is_regular_file(file, error);
  });
}

Corpus::Corpus(CorpusOptions options) : options_(std::move(options)) {
  check_options(options_);
  reader_ = std::make_unique<io::DocumentReader>(options_.inputs, options_.documents);
}

Corpus::Corpus(CorpusOptions options, std::vector<io::FilePiece> pieces, io::LineCounter& lines)
    : options_(std::move(options)) {
  check_options(options_);
  reader_ = std::make_unique<io::DocumentReader>(std::move(pieces), options_.documents, lines);
}

bool Corpus::read(io::Document& document) {
  while (reader_->next(document)) {
    if (options_.split == "all" ||
        io::held_out(document.id, options_.held_out) == (options_.split == "held-out"))
      return true;
    ++left_out_;
  }
  return false;
}

bool Corpus::next(io::Document& document) {
  if (next_ahead_ < ahead_.size()) {
    document = std::move(ahead_[next_ahead_++]);
    return true;
  }
  if (!ahead_.empty()) {
    ahead_.clear();
    next_ahead_ = 0;
  }
  return read(document);
}

Sample Corpus::sample(std::uint64_t bytes, std::uint64_t seed) {
  Sampler sampler(bytes, seed);
  if (can_be_read_twice(reader_->files())) {
    Corpus again(options_);
    for (io::Document document; !stop_signal() && again.next(document);) sampler.add(document.text, document.group);
    return stop_signal() ? Sample{} : sampler.take();
  }
  std::uint64_t taken = 0;
  for (io::Document document; taken < bytes && !stop_signal() && read(document);) {
    sampler.add(document.text, document.group);
    taken += document.text.size();
    ahead_.push_back(std::move(document));
  }
  return stop_signal() ? Sample{} : sampler.take();
}

}  // namespace blt::patch
