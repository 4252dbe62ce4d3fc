// SPDX-License-Identifier: MIT
// Shapes and semantics of the models, and config.json in the Hugging Face `blt` schema (spec 1.6) plus one `blt_toolkit`
// object for what that schema lacks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "blt/base/json.h"
#include "blt/patch/rules.h"

namespace blt::model {

struct TransformerConfig {
  std::int64_t dim = 0, layers = 0, heads = 0, kv_heads = 0, ffn_dim = 0;
  std::int64_t max_positions = 0;  // trained length: bytes; patches in the latent transformer
  double rope_theta = 500000, norm_eps = 1e-5;

  std::int64_t head_dim() const { return dim / heads; }
};

// What the weights were trained with and config.json of the schema does not say (spec section 11).
struct Semantics {
  std::int64_t window = 512;     // positions that byte-level self-attention sees, itself included; 0: all
  bool eos_blocks = true;        // nothing is seen across an EOS
  bool repool = false;           // pool the patches anew at every cross-attention layer of the encoder (HF)
  // Under a maximum patch length the entropy at the last position closes no patch (HF, spec 3.8), so that its logits change
  // when the text grows.
  bool open_end = false;
};

// Heads of multi-token prediction (heads.h).
enum class HeadKind { linear, layer };
inline constexpr std::string_view head_kind_names[] = {"linear", "layer"};
struct HeadsConfig {
  std::int64_t count = 2;  // head 1, the model's own, included
  HeadKind kind = HeadKind::linear;
};
inline constexpr std::int64_t most_heads = 16;

struct ByteLmConfig {
  TransformerConfig transformer;
  Semantics semantics;
  std::optional<HeadsConfig> heads = {};
};

struct CrossHeads {
  std::int64_t heads = 0, kv_heads = 0;  // 0: the local model's
};

struct BltConfig {
  TransformerConfig encoder, latent, decoder;
  CrossHeads encoder_cross, decoder_cross;  // Meta's format has its own number of heads (spec 1.6)
  std::int64_t cross_k = 2;               // vectors a patch has at the local models' width
  bool cross_all_encoder_layers = false;
  bool cross_all_decoder_layers = true;
  std::vector<std::int64_t> hash_group_sizes = {3, 4, 5, 6, 7, 8};
  std::int64_t hash_functions = 1, hash_rows = 500002;
  Semantics semantics;
  patch::Rules patching;                  // how text is patched at inference
  std::optional<ByteLmConfig> patcher;    // the entropy model inside, when the scheme needs one; it has no heads
  std::optional<HeadsConfig> heads;

  bool needs_latent_projection() const { return encoder.dim * cross_k != latent.dim; }
  // The local models' shapes with the heads of their cross-attention.
  TransformerConfig encoder_cross_shape() const { return cross_shape(encoder, encoder_cross); }
  TransformerConfig decoder_cross_shape() const { return cross_shape(decoder, decoder_cross); }

 private:
  static TransformerConfig cross_shape(TransformerConfig shape, const CrossHeads& cross) {
    if (cross.heads > 0) shape.heads = cross.heads;
    if (cross.heads > 0) shape.kv_heads = cross.kv_heads;
    return shape;
  }
};

// 2/3 of 4 dim, times the multiplier, rounded up to a multiple (spec 5.2).
std::int64_t ffn_dim(std::int64_t dim, std::int64_t multiple_of = 256);

// Presets: shapes without weights. Errors: usage, naming the presets.
ByteLmConfig byte_lm_preset(std::string_view name);  // tiny (1.4 M), small, base, 100m (the released shape)
BltConfig blt_preset(std::string_view name);         // tiny, small, 400m, 1b, 2b, 4b, 8b (paper table 10)
inline constexpr std::string_view byte_lm_presets[] = {"tiny", "small", "base", "100m"};
inline constexpr std::string_view blt_presets[] = {"tiny", "small", "400m", "1b", "2b", "4b", "8b"};

// Ranges, divisibility, sizes. Errors: input, naming the key.
void check(const ByteLmConfig& config);
void check(const BltConfig& config);

Json to_json(const ByteLmConfig& config);  // model_type blt_patcher
Json to_json(const BltConfig& config);     // model_type blt
ByteLmConfig byte_lm_from_json(const Json& json);
BltConfig blt_from_json(const Json& json);

// Meta's argument objects (spec 1.1, 5.9): what `config.json` of its hub form has under "args" and params.json under "model"
// and "entropy_model". patcher: params.json's data.patcher_args, else null. Errors: input, naming what is not supported.
BltConfig blt_from_meta(const Json& args, const Json& patcher);
ByteLmConfig byte_lm_from_meta(const Json& args);
// Errors: usage, naming what that format cannot say.
Json blt_to_meta(const BltConfig& config);
Json patcher_to_meta(const patch::Rules& rules);
Json byte_lm_to_meta(const ByteLmConfig& config);

// `--compat`: "meta" gives windows and EOS blocks, "hf" plain causal attention, pooling anew and open ends (spec section
// 11); empty or "auto" leaves what the checkpoint says.
void apply_compat(ByteLmConfig& config, std::string_view compat);
void apply_compat(BltConfig& config, std::string_view compat);

Json rules_to_json(const patch::Rules& rules);
patch::Rules rules_from_json(const Json& json);  // missing keys keep their defaults

HeadKind parse_head_kind(std::string_view name);  // errors: input

// Heads included.
std::int64_t parameter_count(const ByteLmConfig& config);
std::int64_t parameter_count(const BltConfig& config);  // without the patcher
std::int64_t heads_parameter_count(const HeadsConfig& heads, const TransformerConfig& local);
// Forward multiply-adds x 2 of one byte, by spec 7.6 and 8.6 (the entropy model and heads from 2 on
// are not counted).
double flops_per_byte(const ByteLmConfig& config, double context);
double flops_per_byte(const BltConfig& config, double patch_size, double context);
double heads_flops_per_byte(const HeadsConfig& heads, const TransformerConfig& local, const Semantics& semantics, double context);

}  // namespace blt::model
