// SPDX-License-Identifier: MIT
// Losses of whole documents, for evaluation and scoring.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "blt/model/models.h"
#include "blt/train/loader.h"

namespace blt::train {

// logits of a batch: either model's forward.
using Forward = std::function<at::Tensor(const model::Batch&)>;

struct BitsPerByte {
  double nats = 0;
  std::int64_t bytes = 0;
  double value() const;
};

// Over all byte targets (EOS left out) of up to max_bytes of documents, cut in pieces of sequence_length.
BitsPerByte evaluate(DocumentStream& documents, const Forward& forward, const model::Semantics& semantics,
                     std::int64_t cross_k, std::int64_t sequence_length, std::int64_t max_bytes, at::Device device);

}  // namespace blt::train
