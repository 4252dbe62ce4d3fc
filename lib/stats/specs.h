// SPDX-License-Identifier: MIT
// The small languages of --scheme and --tokenizer.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "blt/patch/rules.h"

namespace blt::stats {

struct SchemeSpec {
  std::string text;  // as typed: the measure's name
  patch::Rules rules;
  std::optional<double> fit_size;  // fit rules.threshold to this mean number of bytes a patch
};

// "entropy:1.3,max=16", "combined:threshold=1.3,add=0.2", "strided:6", "entropy:size=4.5". Errors:
// usage.
SchemeSpec parse_scheme_spec(std::string_view text);

struct TokenizerSpec {
  std::string name, path, split;
};

// "[NAME=]FILE[:SPLIT]". Errors: usage.
TokenizerSpec parse_tokenizer_spec(std::string_view text);

}  // namespace blt::stats
