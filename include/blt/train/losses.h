// SPDX-License-Identifier: MIT
// Losses of a model's prediction heads: over a batch with gradients, over held-out documents without.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "blt/model/models.h"
#include "blt/train/loader.h"

namespace blt::train {

// Either model: a state of the trunk, and from it the logits of one head at a time.
struct HeadedModel {
  std::int64_t heads = 1;
  std::function<at::Tensor(const model::Batch&)> state;
  std::function<at::Tensor(const at::Tensor& state, std::int64_t head, const model::Batch&)> logits;
};
// The model must outlive it.
template <class Model>
HeadedModel headed(Model& m, const model::Pass& pass) {
  return {m.heads ? m.heads->config.count : 1, [&m, pass](const model::Batch& batch) { return m.state(batch, pass); },
          [&m, pass](const at::Tensor& state, std::int64_t head, const model::Batch& batch) { return m.logits(state, head, batch, pass); }};
}

struct HeadLoss {
  double nats = 0;
  std::int64_t targets = 0;
  double bits() const;  // a target
};

// Forward and backward of the sum of weights[i - 1] times head i's summed nats. Heads go one after the other from a detached
// state, whose gradient then goes through the trunk once, so that one head's logits are alive at a time (arXiv 2404.19737,
// figure 2). Returns each head's loss, weights left out.
std::vector<HeadLoss> backward(const HeadedModel& model, const model::Batch& batch, std::span<const double> weights);

struct HeldOut {
  HeadLoss loss;         // over byte targets; EOS is left out
  std::int64_t hits = 0;  // targets that the head finds the most likely
  double acceptance() const;
};

// Each head over up to max_bytes of documents, cut in pieces of sequence_length.
std::vector<HeldOut> evaluate(DocumentStream& documents, const HeadedModel& model, const model::Semantics& semantics,
                              std::int64_t cross_k, std::int64_t sequence_length, std::int64_t max_bytes, at::Device device);

}  // namespace blt::train
