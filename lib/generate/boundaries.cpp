// SPDX-License-Identifier: MIT
#include "boundaries.h"

#include "blt/base/error.h"

namespace blt::generate {

void check_growing(const patch::Rules& rules) {
  patch::check_rules(rules);
  if (rules.scheme == patch::Scheme::topk) {
    throw usage_error(
        "the model's patching scheme topk ranks the entropies of a whole text: it cannot patch a "
        "text that grows",
        "entropy, monotonic and combined can");
  }
}

std::vector<std::int64_t> growing_starts(std::span<const patch::TokenId> ids,
                                         std::span<const float> entropies,
                                         const patch::Rules& rules) {
  patch::Rules next = rules;
  std::vector<std::uint32_t> lengths;
  if (rules.scheme == patch::Scheme::delimiter) {
    // This rule never looks at the last id; a byte of no meaning in the next one's place makes it
    // look at all that are there.
    std::vector<patch::TokenId> longer(ids.begin(), ids.end());
    longer.push_back(patch::byte_offset);
    next.include_next_token = false;
    lengths = patch::cut(longer, {}, next);
  } else {
    next.include_next_token = true;
    lengths = patch::cut(ids, entropies, next);
  }
  std::vector<std::int64_t> starts;
  std::int64_t at = 0;
  for (const auto length : patch::training_form(std::move(lengths))) {
    starts.push_back(at);
    at += length;
  }
  return starts;
}

std::vector<std::uint32_t> lengths_between(std::span<const std::int64_t> starts,
                                           std::int64_t total) {
  std::vector<std::uint32_t> lengths;
  for (std::size_t i = 0; i < starts.size() && starts[i] < total; ++i) {
    const std::int64_t end = i + 1 < starts.size() ? starts[i + 1] : total;
    lengths.push_back(static_cast<std::uint32_t>(end - starts[i]));
  }
  return lengths;
}

}  // namespace blt::generate
