// SPDX-License-Identifier: MIT
// Model folders from one layout to another, and a BLT around a token model.
#pragma once

#include "blt/base/reporter.h"
#include "blt/config/convert_config.h"

namespace blt::model {

// Tensor by tensor, so memory stays small. Errors: input (a damaged model), usage (what the other layout cannot say), output.
int convert(const ConvertConfig& config, Reporter& reporter);

// A BLT whose latent transformer is the token model's (paper section 6.1); local models and hash tables are fresh.
// Errors: input (another architecture), output.
int init_from(const InitFromConfig& config, Reporter& reporter);

}  // namespace blt::model
