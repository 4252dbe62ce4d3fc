// SPDX-License-Identifier: MIT
// From logits to the next id.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "blt/base/random.h"
#include "blt/patch/rules.h"

namespace blt::generate {

struct Allowed;  // of a constraint

struct SamplerOptions {
  double temperature = 1;  // 0: greedy
  std::int64_t top_k = 0;  // 0: all
  double top_p = 1;        // nucleus (Holtzman et al. 2019)
  double min_p = 0;        // (Nguyen et al. 2024)
  bool eos = true;         // whether the document may end
};

struct Candidate {
  patch::TokenId id;
  double probability;
};

// What may be chosen, most likely first (of equals the lower id), probabilities summing to 1. Bytes
// and, where allowed, EOS; never the other special ids. The temperature comes first, then top-k,
// top-p (the fewest of the best whose sum reaches it) and min-p (relative to the best). At least
// one candidate remains. With `allowed`, what it leaves out has no probability from the start; where it
// leaves nothing but the end, EOS is chosen whatever the options say. logits: [260]. Errors: input,
// when the logits are no numbers.
std::vector<Candidate> candidates(std::span<const float> logits, const SamplerOptions& options,
                                  const Allowed* allowed = nullptr);

// The most likely id; of equals the lowest.
patch::TokenId best(std::span<const float> logits, bool eos, const Allowed* allowed = nullptr);

class Sampler {
 public:
  Sampler(const SamplerOptions& options, std::uint64_t seed) : options_(options), random_(seed) {}
  patch::TokenId next(std::span<const float> logits, const Allowed* allowed = nullptr) {
    return pick(candidates(logits, allowed));
  }
  std::vector<Candidate> candidates(std::span<const float> logits, const Allowed* allowed = nullptr) const {
    return generate::candidates(logits, options_, allowed);
  }
  patch::TokenId pick(const std::vector<Candidate>& list);
  double uniform() { return random_.uniform(); }  // [0, 1)

 private:
  SamplerOptions options_;
  Random random_;
};

}  // namespace blt::generate
