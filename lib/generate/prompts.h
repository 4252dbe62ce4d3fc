// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "blt/base/reporter.h"
#include "blt/generate/generate.h"

namespace blt::generate {

// The prompts of the options, of files, or standard input when there are neither.
// Errors: usage (none, and standard input is a terminal), input.
std::vector<std::string> read_prompts(const GenerateConfig& config);
// Rows of --prompts, at least one. Errors: input, "FILE:LINE: ...".
std::vector<PromptRow> read_prompt_rows(const std::string& file, Reporter& reporter);

}  // namespace blt::generate
