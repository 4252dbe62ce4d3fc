// SPDX-License-Identifier: MIT
// The byte language model (entropy model) and the Byte Latent Transformer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "blt/model/batch.h"
#include "blt/model/layers.h"

namespace blt::model {

// Causal transformer over bytes with a sliding window (spec 1.3, 5).
struct ByteLm {
  ByteLmConfig config;
  at::Tensor embedding, norm, head;
  Transformer transformer;

  void create(const ByteLmConfig& shape, const at::TensorOptions& options);
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
  // -> [bytes, dim] of the pass type, normed: the head's input.
  at::Tensor hidden(const Batch& batch, const Pass& pass);
  // -> logits [bytes, 260] of the pass type.
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

  void create(const BltConfig& shape, const at::TensorOptions& options);
  // Without hash tables and patcher unless asked for.
  void visit(const ParameterVisitor& visitor, bool hash_tables, bool with_patcher);
  at::Tensor hidden(const Batch& batch, const Pass& pass);   // [bytes, decoder dim], normed
  at::Tensor forward(const Batch& batch, const Pass& pass);  // [bytes, 260]

  // The parts, for the incremental engine.
  at::Tensor encode_bytes(const Batch& batch, const Pass& pass, at::Tensor& patches);  // h [bytes, d]; patches [P, k d]
  at::Tensor latent_forward(const at::Tensor& patches, const Batch& batch, const Pass& pass);
  at::Tensor decode(const at::Tensor& h, const at::Tensor& latents, const Batch& batch, const Pass& pass);
};

// Random weights from a seed, the same on every machine.
void initialise(ByteLm& lm, std::uint64_t seed);
// hash_tables false: they start at zero, as in our training.
void initialise(Blt& blt, std::uint64_t seed, bool hash_tables = true);

}  // namespace blt::model
