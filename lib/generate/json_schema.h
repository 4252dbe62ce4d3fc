// SPDX-License-Identifier: MIT
// JSON Schema as a grammar.
#pragma once

#include "blt/base/json.h"
#include "grammar.h"

namespace blt::generate {

// The texts that meet the schema, in the forms that docs/constraints.md tells. Errors: input
// ("#/properties/a: ..."), usage (too large).
Grammar schema_grammar(const Json& schema);

}  // namespace blt::generate
