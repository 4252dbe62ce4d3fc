// SPDX-License-Identifier: MIT
// Options that several programs have, described once.
#pragma once

#include <string>

#include "blt/config/fields.h"

namespace blt::config {

// --format, --split-lines, --field, --on-error: how corpus files become documents (io::DocumentOptions).
void describe_reading(Fields& fields, std::string& format, bool& split_lines, std::string& field, std::string& on_error);
// --device, --dtype. automatic tells what --dtype auto means for this program.
void describe_device(Fields& fields, std::string& device, std::string& dtype, const char* automatic);

}  // namespace blt::config
