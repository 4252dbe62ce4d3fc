// SPDX-License-Identifier: MIT
// config.json in the Hugging Face `blt` schema (spec 1.6), older key names included.
#include <algorithm>
#include <cmath>

#include "blt/base/error.h"
#include "blt/model/config.h"
#include "json_fields.h"

namespace blt::model {
namespace {

double theta_of(const Json& json, double otherwise) {
  const Json rope = object(json, "rope_parameters");
  return number(rope, "rope_theta", number(json, "rope_theta", otherwise));
}

TransformerConfig transformer_from(const Json& json, const TransformerConfig& defaults) {
  TransformerConfig c = defaults;
  c.dim = integer(json, "hidden_size", c.dim);
  c.layers = integer(json, "num_hidden_layers", c.layers);
  c.heads = integer(json, "num_attention_heads", c.heads);
  c.kv_heads = integer(json, "num_key_value_heads", c.heads);
  c.ffn_dim = integer(json, "intermediate_size", c.ffn_dim);
  c.max_positions = integer(json, "max_position_embeddings", c.max_positions);
  c.norm_eps = number(json, "rms_norm_eps", c.norm_eps);
  c.rope_theta = theta_of(json, c.rope_theta);
  if (text(json, "hidden_act", "silu") != "silu") throw input_error("'hidden_act' other than silu is not supported");
  if (integer(json, "vocab_size", patch::vocab_size) != patch::vocab_size) throw input_error("'vocab_size' is not 260");
  return c;
}

Json transformer_to(const TransformerConfig& c, const char* model_type) {
  return {{"model_type", model_type},
          {"hidden_size", c.dim},
          {"num_hidden_layers", c.layers},
          {"num_attention_heads", c.heads},
          {"num_key_value_heads", c.kv_heads},
          {"head_dim", c.head_dim()},
          {"intermediate_size", c.ffn_dim},
          {"max_position_embeddings", c.max_positions},
          {"rms_norm_eps", c.norm_eps},
          {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", c.rope_theta}}},
          {"hidden_act", "silu"},
          {"dropout", 0.0},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", false}};
}

Json semantics_to(const Semantics& s) {
  return {{"window", s.window}, {"eos_blocks", s.eos_blocks}, {"repool", s.repool}, {"open_end", s.open_end}};
}

Semantics semantics_from(const Json& json) {
  Semantics s;
  s.window = integer(json, "window", s.window);
  s.eos_blocks = boolean(json, "eos_blocks", s.eos_blocks);
  s.repool = boolean(json, "repool", s.repool);
  s.open_end = boolean(json, "open_end", s.open_end);
  return s;
}

void set_heads(Json& toolkit, const std::optional<HeadsConfig>& heads) {
  if (heads) toolkit["heads"] = {{"count", heads->count}, {"kind", std::string(head_kind_names[static_cast<std::size_t>(heads->kind)])}};
}

std::optional<HeadsConfig> heads_from(const Json& toolkit) {
  if (!is_given(toolkit, "heads")) return std::nullopt;
  const Json json = object(toolkit, "heads");
  return HeadsConfig{integer(json, "count", 0), parse_head_kind(text(json, "kind", ""))};
}

void set_patcher(Json& json, const ByteLmConfig& patcher) {
  json = transformer_to(patcher.transformer, "blt_patcher");
  json["vocab_size"] = patch::vocab_size;
}

constexpr TransformerConfig released_patcher = {768, 14, 12, 12, 2048, 8192, 10000, 1e-5};

std::vector<std::int64_t> group_sizes(const Json& json) {
  const char* key = "encoder_hash_byte_group_size";
  if (!json.contains(key) || json[key].is_null()) return {3, 4, 5, 6, 7, 8};
  if (!json[key].is_array()) throw input_error(cat("'", key, "' is not a list"));
  std::vector<std::int64_t> out;
  for (const auto& item : json[key]) {
    if (!item.is_number_integer()) throw input_error(cat("'", key, "' holds something that is no whole number"));
    out.push_back(item.get<std::int64_t>());
  }
  return out;
}

}  // namespace

Json rules_to_json(const patch::Rules& r) {
  return {{"scheme", std::string(patch::scheme_names[static_cast<std::size_t>(r.scheme)])},
          {"threshold", r.threshold},
          {"threshold_add", r.threshold_add},
          {"patch_size", r.patch_size},
          {"max_patch_length", r.max_patch_length ? Json(*r.max_patch_length) : Json(nullptr)},
          {"newline_reset", r.newline_reset}};
}

patch::Rules rules_from_json(const Json& json) {
  patch::Rules r;
  r.scheme = patch::parse_scheme(text(json, "scheme", "entropy"));
  r.threshold = number(json, "threshold", r.threshold);
  r.threshold_add = number(json, "threshold_add", r.threshold_add);
  r.patch_size = number(json, "patch_size", r.patch_size);
  if (const auto length = integer(json, "max_patch_length", 0); length > 0) r.max_patch_length = length;
  r.newline_reset = boolean(json, "newline_reset", r.newline_reset);
  return r;
}

Json to_json(const ByteLmConfig& config) {
  Json json;
  set_patcher(json, config);
  json["architectures"] = {"BltPatcher"};
  json["dtype"] = "float32";
  json["blt_toolkit"] = {{"version", 1}, {"semantics", semantics_to(config.semantics)}};
  set_heads(json["blt_toolkit"], config.heads);
  return json;
}

ByteLmConfig byte_lm_from_json(const Json& json) {
  if (const std::string type = text(json, "model_type", ""); type != "blt_patcher") {
    throw input_error(cat("model_type '", type, "' is not blt_patcher (a byte LM)"));
  }
  const Json toolkit = object(json, "blt_toolkit");
  ByteLmConfig config{transformer_from(json, released_patcher), semantics_from(object(toolkit, "semantics")), heads_from(toolkit)};
  check(config);
  return config;
}

Json to_json(const BltConfig& c) {
  const bool threshold = c.patching.scheme == patch::Scheme::entropy;
  Json json = {{"architectures", {"BltForCausalLM"}},
               {"model_type", "blt"},
               {"dtype", "float32"},
               {"vocab_size", patch::vocab_size},
               {"max_position_embeddings", c.latent.max_positions},
               {"patch_in_forward", c.patcher.has_value()},
               {"patch_size", std::max<std::int64_t>(1, std::llround(c.patching.patch_size))},
               {"patching_mode", std::string(patch::scheme_names[static_cast<std::size_t>(c.patching.scheme)])},
               {"patching_threshold", c.patching.threshold},
               {"patching_batch_size", 1},
               {"max_patch_length", c.patching.max_patch_length ? Json(*c.patching.max_patch_length) : Json(nullptr)},
               {"cross_attn_k", c.cross_k},
               {"encoder_hash_byte_group_size", c.hash_group_sizes},
               {"encoder_hash_byte_group_vocab", c.hash_rows},
               {"encoder_hash_byte_group_nb_functions", c.hash_functions},
               {"tie_word_embeddings", false},
               {"use_cache", false},
               {"initializer_range", 0.02},
               {"bos_token_id", patch::bos_id},
               {"eos_token_id", patch::eos_id},
               {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", c.latent.rope_theta}}}};
  if (!threshold) json["patching_mode"] = patch::needs_entropies(c.patching.scheme) ? "entropy" : json["patching_mode"];
  const auto local = [&](const TransformerConfig& t, const char* type, bool all_layers) {
    Json part = transformer_to(t, type);
    part["vocab_size"] = patch::vocab_size;
    part["cross_attn_k"] = c.cross_k;
    part["cross_attn_all_layers"] = all_layers;
    part["hidden_size_global"] = c.latent.dim;
    return part;
  };
  json["encoder_config"] = local(c.encoder, "blt_local_encoder", c.cross_all_encoder_layers);
  json["decoder_config"] = local(c.decoder, "blt_local_decoder", c.cross_all_decoder_layers);
  json["global_config"] = transformer_to(c.latent, "blt_global_transformer");
  json["global_config"]["encoder_cross_output_size"] = c.needs_latent_projection() ? Json(c.encoder.dim * c.cross_k) : Json(nullptr);
  if (c.patcher) set_patcher(json["patcher_config"], *c.patcher);
  json["blt_toolkit"] = {{"version", 1}, {"semantics", semantics_to(c.semantics)}, {"patching", rules_to_json(c.patching)}};
  if (c.patcher) json["blt_toolkit"]["patcher_semantics"] = semantics_to(c.patcher->semantics);
  set_heads(json["blt_toolkit"], c.heads);
  return json;
}

BltConfig blt_from_json(const Json& json) {
  if (const std::string type = text(json, "model_type", ""); type != "blt") {
    throw input_error(cat("model_type '", type, "' is not blt"));
  }
  if (integer(json, "vocab_size", patch::vocab_size) != patch::vocab_size) throw input_error("'vocab_size' is not 260");
  BltConfig c;
  const Json encoder = object(json, "encoder_config"), decoder = object(json, "decoder_config");
  c.encoder = transformer_from(encoder, {1024, 1, 16, 16, 2730, 24576, 500000, 1e-5});
  c.decoder = transformer_from(decoder, {1024, 9, 16, 16, 2816, 24576, 500000, 1e-5});
  c.latent = transformer_from(object(json, "global_config"), {2048, 25, 16, 16, 5632, 4096, 500000, 1e-5});
  c.cross_k = integer(json, "cross_attn_k", 2);
  c.cross_all_encoder_layers = boolean(encoder, "cross_attn_all_layers", false);
  c.cross_all_decoder_layers = boolean(decoder, "cross_attn_all_layers", true);
  c.hash_group_sizes = group_sizes(json);
  c.hash_rows = integer(json, "encoder_hash_byte_group_vocab", 500002);
  c.hash_functions = integer(json, "encoder_hash_byte_group_nb_functions", 1);
  const Json toolkit = object(json, "blt_toolkit");
  c.semantics = semantics_from(object(toolkit, "semantics"));
  c.heads = heads_from(toolkit);
  c.patching.threshold = number(json, "patching_threshold", c.patching.threshold);
  if (const auto length = integer(json, "max_patch_length", 0); length > 0) c.patching.max_patch_length = length;
  const bool patcher = boolean(json, "patch_in_forward", true) && text(json, "patching_mode", "entropy") == "entropy";
  if (patcher) {
    c.patcher = ByteLmConfig{transformer_from(object(json, "patcher_config"), released_patcher), {}};
    c.patcher->semantics = semantics_from(object(toolkit, "patcher_semantics"));
  } else {
    c.patching.scheme = patch::Scheme::byte;  // spec 3.9
  }
  if (toolkit.contains("patching")) c.patching = rules_from_json(object(toolkit, "patching"));
  c.encoder_cross = {c.encoder.heads, c.encoder.kv_heads};
  c.decoder_cross = {c.decoder.heads, c.decoder.kv_heads};
  check(c);
  return c;
}

}  // namespace blt::model
