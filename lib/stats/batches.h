// SPDX-License-Identifier: MIT
// Documents in portions that a model takes well.
#pragma once

#include <functional>
#include <vector>

#include "blt/base/signals.h"
#include "blt/patch/rules.h"
#include "blt/stats/inputs.h"

namespace blt::stats {

struct Batch {
  std::vector<InputDocument> documents;
  std::vector<std::vector<patch::TokenId>> ids;  // BOS + bytes [+ EOS]
};

// Calls `take` with batches of about `positions` positions (at least one document) of those that
// `wanted` lets through, until the end or a stop signal.
inline void for_each_batch(InputReader& reader, std::uint64_t positions, bool eos,
                           const std::function<bool(const InputDocument&)>& wanted,
                           const std::function<void(Batch&)>& take) {
  Batch batch;
  std::uint64_t filled = 0;
  const auto flush = [&] {
    if (!batch.documents.empty()) take(batch);
    batch = {};
    filled = 0;
  };
  InputDocument document;
  while (!stop_signal() && reader.next(document)) {
    if (!wanted(document)) continue;
    auto ids = patch::encode(document.document.text, true, eos);
    if (filled > 0 && filled + ids.size() > positions) flush();
    filled += ids.size();
    batch.ids.push_back(std::move(ids));
    batch.documents.push_back(std::move(document));
  }
  if (!stop_signal()) flush();
}

}  // namespace blt::stats
