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

// Where drafts come from: how many ids of a source are tried together at most, 0: none.
struct DraftSources {
  std::int64_t lookup = 0;  // where the text repeats itself
  std::int64_t latent = 0;  // elsewhere: a stale latent
  std::int64_t heads = 0;   // elsewhere: prediction heads; with a stale latent, they draft what it says
};

class Choices {
 public:
  // logits: after the prompt, which the engine holds.
  Choices(Engine& engine, std::span<const patch::TokenId> prompt, std::span<const float> logits, const Sampler& sampler, Constraint* constraint,
          const DraftSources& sources);

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
  // Whether drafts of a source pay.
  class Worth {
   public:
    // Where they are seldom kept of late, few passes try any.
    bool tries();
    // Drafts that hold in a row of late, before one does not: more of them cost more than they save.
    std::int64_t run() const;
    void tried(std::size_t kept, std::size_t drafts);

   private:
    double kept_ = 1;                 // share, of late
    std::int64_t passed_over_ = 0;    // passes since that fell too low
    double held_ = 8, broken_ = 0.5;  // in a pass of late: drafts that held, and whether one did not
  };
  void refill(std::int64_t wanted);
  void try_drafts(const std::vector<Draft>& drafts, Worth& source);
  std::vector<Draft> look_up(const std::vector<patch::TokenId>& found);
  std::vector<Draft> ask_heads(std::int64_t most, double least);
  std::vector<Draft> ask_stale_latent(std::int64_t most);
  static std::vector<patch::TokenId> ids_of_pass(patch::TokenId last, const std::vector<Draft>& drafts);
  template <class Keep>
  std::size_t verify(const std::vector<Draft>& drafts, std::span<const float> logits, Keep&& keep);
  std::vector<Candidate> candidates(std::span<const float> logits) const;
  void take(patch::TokenId id);
  void advance(patch::TokenId id);

  Engine& engine_;
  std::vector<float> first_;  // the logits after the prompt
  Sampler sampler_;
  Constraint* constraint_;
  DraftSources sources_;
  Lookup lookup_;
  Worth looked_up_, predicted_;
  std::vector<patch::TokenId> ready_;  // chosen; all but the last are in the engine
  std::size_t given_ = 0;
  std::int64_t position_;
  DraftCounts counts_;
};

}  // namespace blt::generate
