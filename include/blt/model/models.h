// SPDX-License-Identifier: MIT
// The byte language model (entropy model) and the Byte Latent Transformer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "blt/model/batch.h"
#include "blt/model/heads.h"
#include "blt/model/layers.h"

namespace blt::model {

// Causal transformer over bytes with a sliding window (spec 1.3, 5).
struct ByteLm {
  ByteLmConfig config;
  at::Tensor embedding, norm, head;
  Transformer transformer;
  std::optional<PredictionHeads> heads;
  std::set<const void*> mapped;  // numbers of parameters that lie in a mapped file

  void create(const ByteLmConfig& shape, const at::TensorOptions& options);
  // Heads from 2 on are not visited: they are no part of the standard checkpoint.
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
  // -> float32 [bytes, dim], before the norm: the state that all heads start from.
  at::Tensor state(const Batch& batch, const Pass& pass);
  // -> logits [bytes, 260] of the pass type, of head `index` (1: the next byte).
  at::Tensor logits(const at::Tensor& state, std::int64_t index, const Batch& batch, const Pass& pass);
  // Head 1's logits.
  at::Tensor forward(const Batch& batch, const Pass& pass);
};

// Spec sections 4 to 6, quirks included: doubled residuals, decoder patch id, exact-equality masks.
struct Blt {
  BltConfig config;
  at::Tensor embedding;        // [260, encoder dim]
  nn::HashTables hash;         // weight [tables * rows, encoder dim]
  Transformer encoder, latent, decoder;
  at::Tensor encoder_patch_projection;  // [encoder dim * k, encoder dim]
  at::Tensor latent_projection;         // [latent dim, encoder dim * k], undefined where the widths agree
  at::Tensor decoder_patch_projection;  // [decoder dim * k, latent dim]
  std::vector<CrossAttention> encoder_cross, decoder_cross;
  at::Tensor norm, head;
  std::unique_ptr<ByteLm> patcher;
  std::optional<PredictionHeads> heads;
  std::set<const void*> mapped;  // as ByteLm's, the patcher's included

  void create(const BltConfig& shape, const at::TensorOptions& options);
  // Without hash tables and patcher unless asked for; without heads from 2 on.
  void visit(const ParameterVisitor& visitor, bool hash_tables, bool with_patcher);
  // As ByteLm's; the width is the decoder's.
  at::Tensor state(const Batch& batch, const Pass& pass);
  at::Tensor logits(const at::Tensor& state, std::int64_t index, const Batch& batch, const Pass& pass);
  at::Tensor forward(const Batch& batch, const Pass& pass);

  // The parts, for the incremental engine.
  at::Tensor encode_bytes(const Batch& batch, const Pass& pass, at::Tensor& patches);  // h [bytes, d]; patches [P, k d]
  at::Tensor latent_forward(const at::Tensor& patches, const Batch& batch, const Pass& pass);
  at::Tensor decode(const at::Tensor& h, const at::Tensor& latents, const Batch& batch, const Pass& pass);  // before the norm
};

// Random weights from a seed, the same on every machine.
void initialise(ByteLm& lm, std::uint64_t seed);
// hash_tables false: they start at zero, as in our training.
void initialise(Blt& blt, std::uint64_t seed, bool hash_tables = true);
// Fresh heads around a model that has weights, instead of those that it has; nothing: none. `initialise` calls it for a model
// whose config names heads.
void set_heads(ByteLm& lm, const std::optional<HeadsConfig>& heads, std::uint64_t seed);
void set_heads(Blt& blt, const std::optional<HeadsConfig>& heads, std::uint64_t seed);

}  // namespace blt::model
