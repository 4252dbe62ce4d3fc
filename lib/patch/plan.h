// SPDX-License-Identifier: MIT
// What a run of blt-patch is: the options that decide what is written, the files, and the parts
// into which the work is cut. Parts hang on these alone, so that it does not matter who does which.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "blt/base/json.h"
#include "blt/io/pieces.h"
#include "blt/patch/calibrate.h"
#include "blt/patch/pipeline.h"

namespace blt::patch {

struct InputFile {
  std::string path;
  std::uint64_t bytes = 0;  // on disk
};

// Whole files [first, last), or with `end` lines [begin, end) of the file `first`.
struct Part {
  std::size_t first = 0, last = 0;
  std::uint64_t begin = 0, end = 0;
};

struct Plan {
  Json options;  // name -> value
  std::vector<InputFile> files;
  std::vector<Part> parts;
  std::optional<Calibration> calibration;
  Json entropy_model;  // as the manifest tells it

  std::string digest() const;  // of options and files: equal for what gives the same shards
  std::vector<io::FilePiece> pieces(std::size_t part) const;
  std::uint64_t file_bytes(std::size_t part) const;
};

std::vector<InputFile> input_files(const std::vector<std::string>& inputs);  // errors: input
Json plan_options(const PipelineOptions& options, const std::string& model_digest);
// Small files in order, together up to `bytes`; large plain files of lines in ranges of about that;
// others whole.
std::vector<Part> cut_parts(const std::vector<InputFile>& files, const io::DocumentOptions& options,
                            std::uint64_t bytes);

Json to_json(const Plan& plan);
Plan plan_from_json(const Json& json);  // errors: input
// Refuses to go on with `earlier`, found in `folder`, when `plan` differs from it. Errors: output,
// naming the options; input, naming the file.
void require_same(const Plan& plan, const Plan& earlier, const std::string& folder,
                  const std::string& hint);

}  // namespace blt::patch
