// SPDX-License-Identifier: MIT
// What a model says about the next byte of a growing text.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "blt/patch/entropy_source.h"
#include "blt/patch/rules.h"

namespace blt::model {
struct Blt;
struct ByteLm;
}  // namespace blt::model

namespace blt::generate {

// One text of ids, BOS first, that grows at its end and may be cut back. The entropy at position p
// decides whether the patch before p + 1 closes (spec 7.5), so whether the next byte starts a patch
// is known before it is chosen.
class Engine {
 public:
  virtual ~Engine() = default;

  // Appends ids -> the logits of the id after them, [260], valid until the next call.
  // Errors: usage (no ids), input (ids out of range).
  virtual std::span<const float> prefill(std::span<const patch::TokenId> ids) = 0;
  std::span<const float> step(patch::TokenId id) { return prefill({&id, 1}); }
  // Appends ids -> the logits after each of them, [ids.size(), 260] row-major, valid until the next call: for scores and
  // for the verification of drafts. Errors: as prefill().
  virtual std::span<const float> extend(std::span<const patch::TokenId> ids) = 0;
  // Prediction heads, the model's own included: 1 without EngineOptions.heads.
  virtual std::int64_t heads() const { return 1; }
  // What head `head`, 2 to heads(), says after the last id, [260], valid until the next call. The last id is one of those that were
  // appended last. Errors: usage (no such head).
  virtual std::span<const float> future(std::int64_t head) = 0;
  // As extend(), but no patch closes: the local models run on with the latent that they have (BLT-S, arXiv 2605.08044). For
  // drafts: roll all of them back before anything else but future() and guess(). Errors: usage (a byte LM, the exact engine).
  virtual std::span<const float> guess(std::span<const patch::TokenId> ids) = 0;
  virtual bool can_guess() const { return false; }
  // Whether extend() gives each id the logits, to the bit, that step() would: then drafts can be verified by it.
  virtual bool can_verify() const { return true; }
  // Takes the last `count` ids back. Errors: internal, when there are fewer.
  virtual void rollback(std::int64_t count) = 0;
  void reset() { rollback(position()); }

  virtual std::int64_t position() const = 0;  // ids so far
  // Where patches start, position() included when the next byte starts one; empty for a byte LM.
  virtual const std::vector<std::int64_t>& patch_starts() const = 0;
  bool starts_patch(std::int64_t position) const;

  struct Facts {
    std::string kind;                // "byte_lm", "blt"
    std::int64_t trained_bytes = 0;  // longest text of the training
    std::int64_t trained_patches = 0;
  };
  virtual const Facts& facts() const = 0;
  // Does at once what would otherwise be done bit by bit while a long text grows: weights move into huge pages -> how many bytes
  // have moved in all. After some text. Errors: resource.
  virtual std::size_t settle() { return 0; }
  // What to warn of: the text has outgrown what the model is made for. Empty: it has not.
  std::string too_long() const;
};

// On the CPU activations and sums are float32 whatever the weights are; on CUDA bfloat16 holds for both.
enum class Weights { float32, bfloat16, int8 };  // int8: with a scale a row; CPU only

enum class UseHeads { no, if_any, yes };  // beside the model's own; yes: input error where a cached engine finds none

struct EngineOptions {
  bool exact =
      false;  // compute all anew each time: the reference that the cached engine is tested against
  Weights weights = Weights::float32;          // of matrices outside a BLT's entropy model
  Weights entropy_weights = Weights::float32;  // of the entropy model's; its activations stay float32
  UseHeads heads = UseHeads::no;       // whether what prediction heads need is kept
  std::int64_t chunk = 512;  // bytes of a prompt that are computed together
  std::int64_t slack = 256;  // ids that rollback() can take back without computing anew
};

// The model's matrices become of the type of options.weights and entropy_weights, laid out for this engine; float32 ones too, where
// they hold numbers of bfloat16. So engines over one model ask for the same, and nothing else computes with it after.
// Errors: usage (a patching scheme that looks ahead: topk; int8 on CUDA), input (a scheme that needs
// entropies without an entropy model).
std::unique_ptr<Engine> make_engine(std::shared_ptr<model::ByteLm> lm,
                                    const EngineOptions& options);
std::unique_ptr<Engine> make_engine(std::shared_ptr<model::Blt> blt, const EngineOptions& options);

// Loads a model folder of either kind. Errors: those of loading, resource (no such device).
std::unique_ptr<Engine> open_engine(const std::string& folder, const ModelOptions& model,
                                    EngineOptions options);
// `count` engines over one copy of the weights, each for a thread of its own, which share the CPU threads.
std::vector<std::unique_ptr<Engine>> open_engines(const std::string& folder, const ModelOptions& model,
                                                  EngineOptions options, std::size_t count);

}  // namespace blt::generate
