// SPDX-License-Identifier: MIT
// Texts made from option tables, shared by help, man pages and completions.
#pragma once

#include <string>

#include "blt/config/program.h"

namespace blt::config {

// "-o, --output DIR" or "CORPUS...".
std::string left_column(const Field& field);
std::string usage_line(const Program& program, const Command& command);
std::string help_text(const Program& program, const Command& command, const Fields& common, bool full);
// The table of the options that all commands have.
Fields describe_common(Common& common);

}  // namespace blt::config
