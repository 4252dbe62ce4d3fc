// SPDX-License-Identifier: MIT
// What calibration asks of a sample, again and again.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "blt/patch/calibrate.h"

namespace blt::patch {

// Everything that a threshold of this scheme is compared with, rising, each value once.
std::vector<float> compared_values(const Sample& sample, Scheme scheme);
// A threshold that values[k] and all above exceed, and no other.
double threshold_below(const std::vector<float>& values, std::size_t k);
// calibrate(), or nothing where the size is out of reach.
std::optional<Calibration> calibrate_within_reach(const Sample& sample, const Rules& rules, double patch_size);
// The number of patches of each text, by all threads.
std::vector<std::uint64_t> patches_of(const Sample& sample, const Rules& rules);

}  // namespace blt::patch
