// SPDX-License-Identifier: MIT
// The ids of a text, one after the other, with or without drafts. Drafts change the time, not the text: greedy text is
// the same, and sampled text has the same distribution (rejection sampling: Leviathan et al. 2023, Chen et al. 2023).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "blt/generate/constraint.h"
#include "blt/generate/engine.h"
#include "blt/generate/generate.h"
#include "blt/generate/sampler.h"
#include "lookup.h"

namespace blt::generate {

class Choices {
 public:
  // logits: after the prompt, which the engine holds. draft: ids at most that are tried together, 0 without speculation.
  Choices(Engine& engine, std::span<const patch::TokenId> prompt, std::span<const float> logits, const Sampler& sampler, Constraint* constraint,
          Speculation speculation, std::int64_t draft);

  // wanted: ids that are still of use, this one included.
  patch::TokenId next(std::int64_t wanted);
  // Where the id of next() will stand.
  std::int64_t position() const { return position_; }
  // Nothing may follow what next() gave.
  bool complete() const { return constraint_ && given_ == ready_.size() && constraint_->complete(); }
  const DraftCounts& counts() const { return counts_; }

 private:
  struct Draft {
    patch::TokenId id;
    std::vector<Candidate> from;  // what it was drawn from
  };
  void refill(std::int64_t wanted);
  void try_drafts(const std::vector<Draft>& drafts);
  std::vector<Draft> draft(std::int64_t most);
  std::vector<Draft> look_up(std::int64_t most);
  std::vector<Candidate> candidates(std::span<const float> logits) const;
  void take(patch::TokenId id);
  void advance(patch::TokenId id);

  Engine& engine_;
  std::vector<float> first_;  // the logits after the prompt
  Sampler sampler_;
  Constraint* constraint_;
  Speculation speculation_;
  std::int64_t draft_;
  Lookup lookup_;
  std::vector<patch::TokenId> ready_;  // chosen; all but the last are in the engine
  std::size_t given_ = 0;
  std::int64_t position_;
  DraftCounts counts_;
  double kept_ = 1;  // share of drafts, of late
  std::int64_t passed_over_ = 0;  // passes since that fell too low
};

}  // namespace blt::generate
