// SPDX-License-Identifier: MIT
// Patch boundaries of a text that grows byte by byte.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "blt/patch/rules.h"

namespace blt::generate {

// Errors: usage, for a scheme whose boundaries depend on what comes later.
void check_growing(const patch::Rules& rules);

// Where patches start in ids and the byte after them, in the form that models take: 0 and 1 are
// starts. A longer text has the same starts and more. entropies: one an id, or empty when the
// scheme needs none.
std::vector<std::int64_t> growing_starts(std::span<const patch::TokenId> ids,
                                         std::span<const float> entropies,
                                         const patch::Rules& rules);

// Lengths that sum to total, of patches that start there (a start at total is none).
std::vector<std::uint32_t> lengths_between(std::span<const std::int64_t> starts,
                                           std::int64_t total);

}  // namespace blt::generate
