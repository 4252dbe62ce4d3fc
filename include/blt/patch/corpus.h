// SPDX-License-Identifier: MIT
// One half of a corpus, or all of it, as documents.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "blt/io/documents.h"
#include "blt/io/pieces.h"
#include "blt/patch/calibrate.h"

namespace blt::patch {

struct CorpusOptions {
  std::vector<std::string> inputs;
  io::DocumentOptions documents;
  double held_out = 0;        // the share of documents held out, by io::held_out of their ids
  std::string split = "all";  // train, held-out, all
};

// Whether all are regular files, not standard input or pipes.
bool can_be_read_twice(const std::vector<std::string>& files);

class Corpus {
 public:
  explicit Corpus(CorpusOptions options);  // errors: usage (split), input
  // Pieces of its files, of the chosen half.
  Corpus(CorpusOptions options, std::vector<io::FilePiece> pieces, io::LineCounter& lines);
  bool next(io::Document& document);       // documents of the chosen half; errors: input
  const io::DocumentReader& reader() const { return *reader_; }
  std::uint64_t left_out() const { return left_out_; }  // documents of the other half so far

  // A sample of about this many bytes for calibration. Files are read once more for it; inputs that
  // can be read only once (standard input, pipes) give their first documents, which next() then
  // still gives. Call it before next().
  Sample sample(std::uint64_t bytes, std::uint64_t seed);

 private:
  bool read(io::Document& document);

  CorpusOptions options_;
  std::unique_ptr<io::DocumentReader> reader_;
  std::vector<io::Document> ahead_;  // read for the sample and not given yet, from next_ahead_ on
  std::size_t next_ahead_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace blt::patch
