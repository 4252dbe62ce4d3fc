// SPDX-License-Identifier: MIT
// Options that several programs have, described once.
#pragma once

#include <string>

#include "blt/config/fields.h"
#include "blt/config/model_options.h"

namespace blt::config {

// --format, --split-lines, --field, --on-error: how corpus files become documents (io::DocumentOptions).
void describe_reading(Fields& fields, std::string& format, bool& split_lines, std::string& field, std::string& on_error);
// --device, --dtype. automatic tells what --dtype auto means for this program.
void describe_device(Fields& fields, std::string& device, std::string& dtype, const char* automatic);
// Where and how any model is opened; and what only a BLT has.
void describe_model_options(Fields& fields, ModelOptions& options, const char* automatic);
void describe_blt_options(Fields& fields, ModelOptions& options);
// Both, and what decoding alone has.
void describe_decoding_options(Fields& fields, ModelOptions& options);

}  // namespace blt::config
