// SPDX-License-Identifier: MIT
// JSON lines: rows to cut, and shard records as text. See docs/format.md, "JSON lines".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "blt/base/reporter.h"
#include "blt/patch/rules.h"
#include "blt/shard/shard.h"

namespace blt::patch {

struct CutOptions {
  Rules rules;
  bool eos = false;            // "text" without entropies: EOS follows
  bool training_form = false;  // a first patch longer than 1 is split in 1 and the rest
};

// One line {"tokens": [ids, BOS first] or "text" or "bytes_base64", "entropies": [nats], ...} ->
// the same line with "patch_lengths" at its end (an earlier "patch_lengths" is replaced). "text"
// stands for BOS + bytes, with EOS when there are as many entropies, or by options.eos without
// entropies. "tokens" and "entropies" may be lists of rows; then "patch_lengths" is one too, its
// rows filled up with zeros.
class LineCutter {
 public:
  explicit LineCutter(const CutOptions& options);  // errors: usage
  ~LineCutter();
  std::string cut(std::string_view line);  // without a newline; errors: input

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct LineCounts {
  std::uint64_t lines = 0;    // taken
  std::uint64_t skipped = 0;  // left out by on_error = skip
  int signal = 0;             // that stopped it
};

// Calls take(line, its number from 1) with every line of the inputs that is not blank ("-" is standard input; gzip and zstd
// are told by their first bytes), in order, until it returns false. take's input errors get "FILE:LINE: "; with on_error =
// skip they leave the line out, which is a problem told at the end.
LineCounts for_each_line(const std::vector<std::string>& inputs, const std::string& on_error,
                         const std::function<bool(std::string_view, std::uint64_t)>& take,
                         Reporter& reporter);

// Cuts every line of the inputs, in order. `emit` gets each line with its newline and returns false to stop. Errors:
// input, "FILE:LINE: ..." (on_error = fail).
LineCounts cut_lines(const std::vector<std::string>& inputs, const CutOptions& options,
                     const std::string& on_error,
                     const std::function<bool(const std::string&)>& emit, Reporter& reporter);

// {"id", "group"?, "text" or "bytes_base64", "patch_lengths", "entropies"?} with a newline. Text
// that is not valid UTF-8 is given as "bytes_base64", so that every document can be restored byte
// for byte.
std::string to_json_line(const shard::Record& record, bool entropies);

std::string encode_base64(std::string_view bytes);
std::string decode_base64(std::string_view text);  // errors: input

}  // namespace blt::patch
