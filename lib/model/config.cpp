// SPDX-License-Identifier: MIT
#include "blt/model/config.h"

#include <algorithm>

#include "blt/base/error.h"

namespace blt::model {
namespace {

TransformerConfig shape(std::int64_t dim, std::int64_t layers, std::int64_t heads, std::int64_t positions,
                        double theta, std::int64_t multiple_of = 256) {
  TransformerConfig c;
  c.dim = dim;
  c.layers = layers;
  c.heads = c.kv_heads = heads;
  c.ffn_dim = ffn_dim(dim, multiple_of);
  c.max_positions = positions;
  c.rope_theta = theta;
  return c;
}

template <class Names>
Error no_preset(std::string_view name, const Names& names) {
  std::string list;
  for (const auto& known : names) list += (list.empty() ? "" : ", ") + std::string(known);
  return usage_error(cat("there is no preset '", name, "'"), "the presets: " + list);
}

// The paper's table 10: encoder, latent, decoder depth, k.
BltConfig paper_shape(std::int64_t local_dim, std::int64_t local_heads, std::int64_t latent_layers, std::int64_t latent_dim,
                      std::int64_t latent_heads, std::int64_t decoder_layers, std::int64_t k) {
  BltConfig c;
  c.encoder = shape(local_dim, 1, local_heads, 24576, 500000);
  c.latent = shape(latent_dim, latent_layers, latent_heads, 4096, 500000);
  c.decoder = shape(local_dim, decoder_layers, local_heads, 24576, 500000);
  c.cross_k = k;
  return c;
}

std::int64_t transformer_parameters(const TransformerConfig& c) {
  const std::int64_t kv = c.kv_heads * c.head_dim();
  return c.layers * (2 * c.dim * c.dim + 2 * c.dim * kv + 3 * c.dim * c.ffn_dim + 2 * c.dim);
}

std::int64_t cross_parameters(const TransformerConfig& c) {
  return 2 * c.dim * c.dim + 2 * c.dim * c.kv_heads * c.head_dim() + 2 * c.dim;
}

void check_shape(const TransformerConfig& c, const char* part) {
  const auto in_range = [&](std::int64_t value, std::int64_t low, std::int64_t high, const char* key) {
    if (value < low || value > high) {
      throw input_error(cat(part, ".", key, " = ", value, " is not from ", low, " to ", high));
    }
  };
  in_range(c.dim, 1, 1 << 16, "hidden_size");
  in_range(c.layers, 0, 1024, "num_hidden_layers");
  in_range(c.heads, 1, 1024, "num_attention_heads");
  in_range(c.kv_heads, 1, c.heads, "num_key_value_heads");
  in_range(c.ffn_dim, 1, 1 << 20, "intermediate_size");
  in_range(c.max_positions, 1, std::int64_t{1} << 31, "max_position_embeddings");
  if (c.dim % c.heads != 0) throw input_error(cat(part, ": ", c.heads, " heads do not divide hidden_size ", c.dim));
  if (c.heads % c.kv_heads != 0) throw input_error(cat(part, ": num_key_value_heads ", c.kv_heads, " does not divide ", c.heads));
  if (c.head_dim() % 2 != 0) throw input_error(cat(part, ": head size ", c.head_dim(), " is odd"));
  if (!(c.norm_eps > 0 && c.norm_eps < 1)) throw input_error(cat(part, ".rms_norm_eps is not between 0 and 1"));
  if (!(c.rope_theta > 1)) throw input_error(cat(part, ".rope_theta is not above 1"));
}

void check_heads(const std::optional<HeadsConfig>& heads) {
  if (heads && (heads->count < 2 || heads->count > most_heads)) {
    throw input_error(cat("blt_toolkit.heads.count = ", heads->count, " is not from 2 to ", most_heads));
  }
}

std::int64_t heads_parameters(const std::optional<HeadsConfig>& heads, const TransformerConfig& local) {
  return heads ? heads_parameter_count(*heads, local) : 0;
}

}  // namespace

std::int64_t ffn_dim(std::int64_t dim, std::int64_t multiple_of) {
  const std::int64_t hidden = 8 * dim / 3;
  return (hidden + multiple_of - 1) / multiple_of * multiple_of;
}

ByteLmConfig byte_lm_preset(std::string_view name) {
  // Tiny models train on two CPU cores in minutes: short windows and few heads, for attention is what costs there.
  if (name == "tiny") return {shape(192, 3, 3, 1024, 10000, 64), {.window = 128}};
  if (name == "small") return {shape(384, 6, 6, 4096, 10000, 64), {.window = 256}};
  if (name == "base") return {shape(512, 10, 8, 8192, 10000), {}};
  if (name == "100m") return {shape(768, 14, 12, 8192, 10000), {}};
  throw no_preset(name, byte_lm_presets);
}

BltConfig blt_preset(std::string_view name) {
  if (name == "tiny") {
    BltConfig c;
    c.encoder = shape(192, 1, 3, 2048, 500000, 64);
    c.latent = shape(256, 4, 4, 512, 500000, 64);
    c.decoder = shape(192, 2, 3, 2048, 500000, 64);
    c.hash_rows = 30011;
    c.semantics.window = 128;
    return c;
  }
  if (name == "small") {
    BltConfig c;
    c.encoder = shape(384, 1, 6, 4096, 500000, 64);
    c.latent = shape(768, 8, 12, 1024, 500000, 64);
    c.decoder = shape(384, 4, 6, 4096, 500000, 64);
    c.hash_rows = 100003;
    c.semantics.window = 256;
    return c;
  }
  if (name == "400m") return paper_shape(768, 12, 24, 1280, 10, 7, 2);
  if (name == "1b") return paper_shape(1024, 16, 25, 2048, 16, 9, 2);
  if (name == "2b") return paper_shape(1024, 16, 26, 2560, 20, 9, 3);
  if (name == "4b") return paper_shape(1024, 16, 36, 3072, 24, 9, 3);
  if (name == "8b") return paper_shape(1280, 20, 32, 4096, 32, 6, 4);
  throw no_preset(name, blt_presets);
}

void check(const ByteLmConfig& config) {
  check_shape(config.transformer, "patcher_config");
  if (config.semantics.window < 0) throw input_error("blt_toolkit.window is negative");
  check_heads(config.heads);
}

void check(const BltConfig& c) {
  check_shape(c.encoder, "encoder_config");
  check_shape(c.latent, "global_config");
  check_shape(c.decoder, "decoder_config");
  if (c.encoder.dim != c.decoder.dim) throw input_error("encoder_config and decoder_config differ in hidden_size");
  check_shape(c.encoder_cross_shape(), "encoder_config cross-attention");
  check_shape(c.decoder_cross_shape(), "decoder_config cross-attention");
  if (c.encoder.layers < 1 || c.decoder.layers < 1) throw input_error("a local model needs at least one layer");
  if (c.cross_k < 1 || c.cross_k > 64) throw input_error(cat("cross_attn_k = ", c.cross_k, " is not from 1 to 64"));
  if (c.semantics.window < 0) throw input_error("blt_toolkit.window is negative");
  if (c.hash_functions < 0 || c.hash_functions > 11) {
    throw input_error(cat("encoder_hash_byte_group_nb_functions = ", c.hash_functions, " is not from 0 to 11"));
  }
  for (const auto size : c.hash_group_sizes) {
    if (size < 1 || size > 64) throw input_error(cat("encoder_hash_byte_group_size: ", size, " is not from 1 to 64"));
  }
  if (!c.hash_group_sizes.empty() && (c.hash_rows < 1 || c.hash_rows > (std::int64_t{1} << 31) - 1)) {
    throw input_error(cat("encoder_hash_byte_group_vocab = ", c.hash_rows, " is not from 1 to 2^31"));
  }
  if (c.hash_group_sizes.size() > 64) throw input_error("encoder_hash_byte_group_size has more than 64 entries");
  if (c.patcher) check(*c.patcher);
  check_heads(c.heads);
}

void apply_compat(ByteLmConfig& config, std::string_view compat) {
  Semantics& s = config.semantics;
  if (compat == "hf") s = {0, false, true, true};
  if (compat == "meta") s = {s.window > 0 ? s.window : Semantics{}.window, true, false, false};
}

void apply_compat(BltConfig& config, std::string_view compat) {
  ByteLmConfig local{config.encoder, config.semantics};
  apply_compat(local, compat);
  config.semantics = local.semantics;
  if (config.patcher) apply_compat(*config.patcher, compat);
}

HeadKind parse_head_kind(std::string_view name) {
  for (const auto kind : {HeadKind::linear, HeadKind::layer}) {
    if (name == head_kind_names[static_cast<std::size_t>(kind)]) return kind;
  }
  throw input_error(cat("heads of kind '", name.substr(0, 64), "': linear and layer are known"));
}

std::int64_t heads_parameter_count(const HeadsConfig& heads, const TransformerConfig& local) {
  TransformerConfig layer = local;
  layer.layers = 1;
  return (heads.count - 1) * (heads.kind == HeadKind::linear ? patch::vocab_size * local.dim : transformer_parameters(layer));
}

std::int64_t parameter_count(const ByteLmConfig& c) {
  return transformer_parameters(c.transformer) + 2 * patch::vocab_size * c.transformer.dim + c.transformer.dim +
         heads_parameters(c.heads, c.transformer);
}

std::int64_t parameter_count(const BltConfig& c) {
  const std::int64_t d = c.encoder.dim, k = c.cross_k;
  const std::int64_t encoder_cross = c.cross_all_encoder_layers ? c.encoder.layers : 1;
  const std::int64_t decoder_cross = c.cross_all_decoder_layers ? c.decoder.layers : 1;
  const auto tables = static_cast<std::int64_t>(c.hash_group_sizes.size()) * c.hash_functions;
  return transformer_parameters(c.encoder) + transformer_parameters(c.latent) + transformer_parameters(c.decoder) +
         encoder_cross * cross_parameters(c.encoder_cross_shape()) + decoder_cross * cross_parameters(c.decoder_cross_shape()) +
         2 * patch::vocab_size * d + d + d * d * k + c.latent.dim * d * k +
         (c.needs_latent_projection() ? c.latent.dim * d * k : 0) + tables * c.hash_rows * d + heads_parameters(c.heads, c.decoder);
}

namespace {

// Products 2 parameters, attention 4 dim (context + 1) / 2 a position (spec 8.6).
double transformer_flops(const TransformerConfig& c, double context) {
  return 2.0 * static_cast<double>(transformer_parameters(c)) +
         4.0 * static_cast<double>(c.layers * c.dim) * (context + 1) / 2;
}

double local_flops(const TransformerConfig& c, const Semantics& s, double context) {
  return transformer_flops(c, s.window > 0 ? std::min<double>(context, 2.0 * static_cast<double>(s.window)) : context);
}

double unembedding_flops(std::int64_t dim) { return 2.0 * patch::vocab_size * static_cast<double>(dim); }

}  // namespace

double flops_per_byte(const ByteLmConfig& c, double context) {
  return local_flops(c.transformer, c.semantics, context) + unembedding_flops(c.transformer.dim);
}

double flops_per_byte(const BltConfig& c, double patch_size, double context) {
  const double d = static_cast<double>(c.encoder.dim), k = static_cast<double>(c.cross_k);
  const double dg = static_cast<double>(c.latent.dim);
  const double layers_e = c.cross_all_encoder_layers ? static_cast<double>(c.encoder.layers) : 1;
  const double layers_d = c.cross_all_decoder_layers ? static_cast<double>(c.decoder.layers) : 1;
  // Queries and outputs on one side, keys and values on the other, scores on the few pairs.
  const double encoder_cross = layers_e * (4 * d * d * k / patch_size + 4 * d * d + 4 * d * k);
  const double decoder_cross = layers_d * (4 * d * d + 4 * d * d * k / patch_size + 4 * d * k);
  const double per_patch = transformer_flops(c.latent, context / patch_size) + 2 * d * d * k + 2 * d * k * dg +
                           (c.needs_latent_projection() ? 2 * d * k * dg : 0);
  return local_flops(c.encoder, c.semantics, context) + local_flops(c.decoder, c.semantics, context) + encoder_cross + decoder_cross +
         per_patch / patch_size + unembedding_flops(c.encoder.dim);
}

double heads_flops_per_byte(const HeadsConfig& heads, const TransformerConfig& local, const Semantics& semantics, double context) {
  TransformerConfig layer = local;
  layer.layers = heads.kind == HeadKind::layer ? 1 : 0;
  return static_cast<double>(heads.count - 1) * (local_flops(layer, semantics, context) + unembedding_flops(local.dim));
}

}  // namespace blt::model
