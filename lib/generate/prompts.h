// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "blt/config/generate_config.h"

namespace blt::generate {

// The prompts of the options, of files, or standard input when there are neither.
// Errors: usage (none, and standard input is a terminal), input.
std::vector<std::string> read_prompts(const GenerateConfig& config);

}  // namespace blt::generate
