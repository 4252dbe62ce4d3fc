// SPDX-License-Identifier: MIT
// What an entropy model of another type would change: entropies and boundaries beside those of float32, on a sample.
#pragma once

#include <string>
#include <vector>

#include "blt/patch/calibrate.h"

namespace blt::patch {

struct TypeDifference {
  std::string dtype;
  double mean = 0, largest = 0;  // of the entropies' absolute differences, nats
  struct Cut {                   // at a threshold found with float32
    Scheme scheme = Scheme::entropy;
    double wished = 0, threshold = 0;
    std::uint64_t boundaries = 0;  // of float32: starts of patches, the first two of a text left out, which are always there
    std::uint64_t differing = 0;   // in one of the two only
    double patch_size = 0;         // with this type
    double share() const { return boundaries ? static_cast<double>(differing) / static_cast<double>(boundaries) : 0; }
  };
  std::vector<Cut> cuts;  // one a row with a threshold
};

// `other`: the same texts with entropies of the other type. Errors: internal, for other texts.
TypeDifference compare_types(const std::string& dtype, const Sample& float32, const Sample& other, const Rules& rules,
                             const std::vector<CalibrationRow>& rows);
std::string to_text(const std::vector<TypeDifference>& differences);
Json to_json(const std::vector<TypeDifference>& differences);

}  // namespace blt::patch
