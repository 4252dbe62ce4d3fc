// SPDX-License-Identifier: MIT
#include "blt/model/models.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "blt/base/error.h"
#include "normal_source.h"

namespace blt::model {
namespace {

// The primes of the hash functions (spec section 4).
constexpr std::uint64_t hash_primes[] = {1000000007, 5915587277, 1500450271, 3267000013, 5754853343, 4093082899,
                                         9576890767, 3628273133, 2860486313, 5463458053, 3367900313};

std::optional<PredictionHeads> created(const std::optional<HeadsConfig>& config, const TransformerConfig& local, const at::TensorOptions& options) {
  if (!config) return std::nullopt;
  PredictionHeads heads;
  heads.create(*config, local, options);
  return heads;
}

// ByteLm's and Blt's logits().
template <class Model>
at::Tensor head_logits(Model& model, const TransformerConfig& local, const at::Tensor& state, std::int64_t index, const Batch& batch, const Pass& pass) {
  const bool own = index == 1;
  if (!own && !model.heads) throw internal_error("this model has one head");
  const at::Tensor x = own ? state : model.heads->input(index, state, batch, pass);
  const at::Tensor& unembedding = own ? model.head : model.heads->unembedding(index, model.head);
  return nn::linear(nn::rms_norm(x, model.norm, local.norm_eps, pass.type), unembedding);
}

// The seed is not the model's own, so that its other weights do not depend on heads.
template <class Model>
void put_heads(Model& model, const TransformerConfig& local, const std::optional<HeadsConfig>& config, std::uint64_t seed) {
  model.config.heads = config;
  model.heads = created(config, local, model.head.options().requires_grad(false));
  if (model.heads) model.heads->initialise(model.head, mix_seed(seed, 3));
}

}  // namespace

void ByteLm::create(const ByteLmConfig& shape, const at::TensorOptions& options) {
  config = shape;
  const std::int64_t dim = config.transformer.dim;
  embedding = at::empty({patch::vocab_size, dim}, options);
  transformer.create(config.transformer, options);
  norm = at::ones({dim}, options);
  head = at::empty({patch::vocab_size, dim}, options);
  heads = created(config.heads, config.transformer, options);
}

void ByteLm::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  visitor(prefix + "embed_tokens.weight", embedding);
  transformer.visit(prefix, visitor);
  visitor(prefix + "norm.weight", norm);
  visitor(prefix + "lm_head.weight", head);
}

at::Tensor ByteLm::state(const Batch& batch, const Pass& pass) {
  nn::HashTables none;
  const at::Tensor x = nn::hash_embedding(embedding, none, batch.ids, batch.hash_start);
  return transformer.forward(x, batch.position, batch.positions, batch.local, pass);
}

at::Tensor ByteLm::logits(const at::Tensor& state, std::int64_t index, const Batch& batch, const Pass& pass) {
  return head_logits(*this, config.transformer, state, index, batch, pass);
}

at::Tensor ByteLm::forward(const Batch& batch, const Pass& pass) { return logits(state(batch, pass), 1, batch, pass); }

void Blt::create(const BltConfig& shape, const at::TensorOptions& options) {
  config = shape;
  const std::int64_t dim = config.encoder.dim, wide = dim * config.cross_k;
  embedding = at::empty({patch::vocab_size, dim}, options);
  hash = {};
  hash.table_rows = config.hash_rows;
  for (std::int64_t f = 0; f < config.hash_functions; ++f) {
    for (const auto size : config.hash_group_sizes) {
      hash.group_sizes.push_back(static_cast<std::int32_t>(size));
      hash.primes.push_back(hash_primes[f % 11]);
    }
  }
  if (hash.tables() > 0) hash.weight = at::empty({hash.tables() * hash.table_rows, dim}, options);
  encoder.create(config.encoder, options);
  latent.create(config.latent, options);
  decoder.create(config.decoder, options);
  encoder_patch_projection = at::empty({wide, dim}, options);
  if (config.needs_latent_projection()) latent_projection = at::empty({config.latent.dim, wide}, options);
  decoder_patch_projection = at::empty({wide, config.latent.dim}, options);
  encoder_cross.resize(config.cross_all_encoder_layers ? encoder.layers.size() : 1);
  for (auto& cross : encoder_cross) cross.create(config.encoder_cross_shape(), options);
  decoder_cross.resize(config.cross_all_decoder_layers ? decoder.layers.size() : 1);
  for (auto& cross : decoder_cross) cross.create(config.decoder_cross_shape(), options);
  norm = at::ones({dim}, options);
  head = at::empty({patch::vocab_size, dim}, options);
  heads = created(config.heads, config.decoder, options);
  patcher.reset();
  if (config.patcher) {
    patcher = std::make_unique<ByteLm>();
    patcher->create(*config.patcher, options);
  }
}

void Blt::visit(const ParameterVisitor& visitor, bool hash_tables, bool with_patcher) {
  visitor("model.local_encoder.embed_tokens.weight", embedding);
  if (hash_tables && hash.tables() > 0) visitor("model.encoder_hash_tok_embedding.weight", hash.weight);
  encoder.visit("model.local_encoder.", visitor);
  visitor("model.local_encoder.patch_embedding_projection.weight", encoder_patch_projection);
  for (std::size_t i = 0; i < encoder_cross.size(); ++i) {
    encoder_cross[i].visit("model.local_encoder.cross_attn_layers." + std::to_string(i) + ".", visitor);
  }
  if (latent_projection.defined()) visitor("model.global_transformer.token_embedding_projection.weight", latent_projection);
  latent.visit("model.global_transformer.", visitor);
  visitor("model.local_decoder.patch_embedding_projection.weight", decoder_patch_projection);
  decoder.visit("model.local_decoder.", visitor);
  for (std::size_t i = 0; i < decoder_cross.size(); ++i) {
    decoder_cross[i].visit("model.local_decoder.cross_attn_layers." + std::to_string(i) + ".", visitor);
  }
  visitor("model.local_decoder.norm.weight", norm);
  visitor("lm_head.weight", head);
  if (with_patcher && patcher) patcher->visit("model.patcher.", visitor);
}

at::Tensor Blt::encode_bytes(const Batch& b, const Pass& pass, at::Tensor& patches) {
  at::Tensor h = nn::hash_embedding(embedding, hash, b.ids, b.hash_start);
  const std::int64_t rows = b.patches * config.cross_k, dim = config.encoder.dim;
  for (std::size_t i = 0; i < encoder.layers.size(); ++i) {
    h = encoder.layer_forward(i, h, b.position, b.positions, b.local, pass);
    const bool last = i + 1 == encoder.layers.size();
    if (!last && !config.cross_all_encoder_layers) continue;
    if (!patches.defined() || config.semantics.repool) {
      const at::Tensor pooled = nn::segment_max(h, b.patch_starts).to(pass.type);
      patches = nn::linear(pooled, encoder_patch_projection).to(at::kFloat).view({rows, dim});
    }
    const auto& cross = encoder_cross[config.cross_all_encoder_layers ? i : 0];
    patches = patches + patches + cross.forward(patches, h, b.pool, pass);  // both residuals (spec 5.5)
  }
  patches = patches.view({b.patches, config.cross_k * dim});
  return h;
}

at::Tensor Blt::latent_forward(const at::Tensor& patches, const Batch& b, const Pass& pass) {
  at::Tensor x = patches;
  if (latent_projection.defined()) x = nn::linear(x.to(pass.type), latent_projection).to(at::kFloat);
  return latent.forward(x, b.patch_position, b.patch_positions, b.latent, pass);
}

at::Tensor Blt::decode(const at::Tensor& h, const at::Tensor& latents, const Batch& b, const Pass& pass) {
  const at::Tensor keys = nn::linear(latents.to(pass.type), decoder_patch_projection)
                              .to(at::kFloat)
                              .view({b.patches * config.cross_k, config.decoder.dim});
  at::Tensor d = h;
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
    if (i == 0 || config.cross_all_decoder_layers) {
      const auto& cross = decoder_cross[config.cross_all_decoder_layers ? i : 0];
      d = d + d + cross.forward(d, keys, b.decoder, pass);
    }
    d = decoder.layer_forward(i, d, b.position, b.positions, b.local, pass);
  }
  return d;
}

at::Tensor Blt::state(const Batch& batch, const Pass& pass) {
  at::Tensor patches;
  const at::Tensor h = encode_bytes(batch, pass, patches);
  return decode(h, latent_forward(patches, batch, pass), batch, pass);
}

at::Tensor Blt::logits(const at::Tensor& state, std::int64_t index, const Batch& batch, const Pass& pass) {
  return head_logits(*this, config.decoder, state, index, batch, pass);
}

at::Tensor Blt::forward(const Batch& batch, const Pass& pass) { return logits(state(batch, pass), 1, batch, pass); }

void initialise(ByteLm& lm, std::uint64_t seed) {
  NormalSource source(seed);
  lm.visit("", [&](const std::string& name, at::Tensor& parameter) {
    initialise(name, parameter, lm.config.transformer.layers, source);
  });
  set_heads(lm, lm.config.heads, seed);
}

void initialise(Blt& blt, std::uint64_t seed, bool hash_tables) {
  NormalSource source(seed);
  const auto layers_of = [&](const std::string& name) {
    if (name.find("global_transformer") != std::string::npos) return blt.config.latent.layers;
    return name.find("local_decoder") != std::string::npos ? blt.config.decoder.layers : blt.config.encoder.layers;
  };
  blt.visit([&](const std::string& name, at::Tensor& parameter) { initialise(name, parameter, layers_of(name), source); },
            hash_tables, false);
  if (!hash_tables && blt.hash.tables() > 0) blt.hash.weight.zero_();
  if (blt.patcher) initialise(*blt.patcher, mix_seed(seed, 1));
  set_heads(blt, blt.config.heads, seed);
}

void set_heads(ByteLm& lm, const std::optional<HeadsConfig>& heads, std::uint64_t seed) {
  put_heads(lm, lm.config.transformer, heads, seed);
}

void set_heads(Blt& blt, const std::optional<HeadsConfig>& heads, std::uint64_t seed) {
  put_heads(blt, blt.config.decoder, heads, seed);
}

}  // namespace blt::model
