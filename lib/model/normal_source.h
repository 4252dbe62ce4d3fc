// SPDX-License-Identifier: MIT
// Normal deviates cut at three deviations, for initial weights.
#pragma once

#include <cmath>

#include "blt/base/random.h"

namespace blt::model {

class NormalSource {
 public:
  explicit NormalSource(std::uint64_t seed) : random_(seed) {}
  double next() {
    for (;;) {
      const double x = random_.normal();
      if (std::abs(x) <= 3) return x;
    }
  }

 private:
  Random random_;
};

}  // namespace blt::model
