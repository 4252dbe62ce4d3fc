// SPDX-License-Identifier: MIT
// Meta's argument objects (spec 1.1, 1.3, 5.9).
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "blt/base/error.h"
#include "blt/model/config.h"
#include "json_fields.h"

namespace blt::model {
namespace {

// What we compute has one value of each of these; a model with another is told, not computed wrongly.
void require_supported(const Json& args) {
  const auto flag = [&](const char* key, bool value) {
    if (boolean(args, key, value) != value) throw input_error(cat("'", key, "' = ", !value ? "true" : "false", " is not supported"));
  };
  const auto word = [&](const char* key, const char* value) {
    if (text(args, key, value) != value) throw input_error(cat("'", key, "' other than ", value, " is not supported"));
  };
  const auto absent = [&](const char* key) {
    if (is_given(args, key)) throw input_error(cat("'", key, "' is not supported"));
  };
  for (const char* key : {"weight_tying", "tie_local_encoder_decoder_logits", "tie_local_encoder_decoder", "encoder_enable_byte_ngrams"}) {
    flag(key, false);
  }
  for (const char* key : {"cross_attn_encoder", "cross_attn_decoder", "cross_attn_init_by_pooling", "use_local_encoder_transformer",
                          "use_rope", "pre_norm", "norm_affine"}) {
    flag(key, true);
  }
  word("downsampling_by_pooling", "max");
  word("non_linearity", "swiglu");
  word("norm_type", "rmsnorm");
  for (const char* key : {"cross_attn_window_encoder", "cross_attn_window_decoder", "head_dim", "global_local_decoder_residual_layer"}) {
    absent(key);
  }
  if (integer(args, "vocab_size", patch::vocab_size) != patch::vocab_size || integer(args, "pm_size", 0) != 0) {
    throw input_error("the vocabulary is not of 260 ids");
  }
  if (integer(args, "eos_id", patch::eos_id) != patch::eos_id) throw input_error("'eos_id' is not 2");
}

std::int64_t required(const Json& args, const char* key) {
  if (!is_given(args, key)) throw input_error(cat("'", key, "' is missing"));
  return integer(args, key, 0);
}

constexpr double most_sizes = 1 << 20;

// spec 5.2: int(2 * 4 dim / 3), times the multiplier, rounded up to a multiple.
std::int64_t ffn_of(std::int64_t dim, double multiplier, std::int64_t multiple_of) {
  if (dim < 1 || dim > (1 << 16) || !(multiplier > 0 && multiplier < 1024) || multiple_of < 1 || multiple_of > (1 << 20)) {
    throw input_error("sizes out of range (dim, ffn_dim_multiplier, multiple_of)");
  }
  const double scaled = std::floor(multiplier * static_cast<double>(8 * dim / 3));
  if (scaled < 1 || scaled > most_sizes) throw input_error("the feed-forward size is out of range");
  const auto hidden = static_cast<std::int64_t>(scaled);
  return (hidden + multiple_of - 1) / multiple_of * multiple_of;
}

TransformerConfig shape_of(const Json& args, std::int64_t dim, std::int64_t layers, std::int64_t heads, std::int64_t kv_heads,
                           std::int64_t positions) {
  TransformerConfig c;
  c.dim = dim;
  c.layers = layers;
  c.heads = heads;
  c.kv_heads = kv_heads > 0 ? kv_heads : heads;
  c.ffn_dim = ffn_of(dim, number(args, "ffn_dim_multiplier", 1), integer(args, "multiple_of", 256));
  c.max_positions = positions;
  c.rope_theta = number(args, "rope_theta", 10000);
  c.norm_eps = number(args, "norm_eps", 1e-5);
  return c;
}

// A list, or a text of numbers with commas (spec section 4). None: no tables.
std::vector<std::int64_t> hash_sizes(const Json& args) {
  const char* key = "encoder_hash_byte_group_size";
  std::vector<std::int64_t> out;
  if (!is_given(args, key)) return out;
  if (args[key].is_string()) {
    const std::string list = args[key].get<std::string>();
    for (std::size_t at = 0; at < list.size();) {
      const std::size_t end = std::min(list.find(',', at), list.size());
      const std::string item = list.substr(at, end - at);
      if (item.empty() || item.size() > 3 || item.find_first_not_of("0123456789") != item.npos) {
        throw input_error(cat("'", key, "' is no list of numbers"));
      }
      out.push_back(std::stoll(item));
      at = end + 1;
    }
    return out;
  }
  if (!args[key].is_array()) throw input_error(cat("'", key, "' is not a list"));
  for (const auto& item : args[key]) {
    if (!item.is_number_integer()) throw input_error(cat("'", key, "' holds something that is no whole number"));
    out.push_back(item.get<std::int64_t>());
  }
  return out;
}

patch::Rules rules_of(const Json& json, const char* threshold, const char* threshold_add) {
  patch::Rules r;
  const std::string mode = text(json, "patching_mode", "entropy");
  if (mode == "entropy") {
    if (boolean(json, "monotonicity", false)) r.scheme = patch::Scheme::monotonic;  // takes precedence (spec 3.4)
    else if (is_given(json, threshold_add)) r.scheme = patch::Scheme::combined;
  } else if (mode == "static") {
    r.scheme = patch::Scheme::strided;
  } else if (mode == "bpe") {
    r.scheme = patch::Scheme::delimiter;
  } else if (mode == "space" || mode == "byte") {
    r.scheme = patch::parse_scheme(mode);
  } else {
    throw input_error(cat("'patching_mode' ", mode, " is not supported"));
  }
  r.threshold = number(json, threshold, r.threshold);
  r.threshold_add = number(json, threshold_add, 0);
  r.patch_size = number(json, "patch_size", r.patch_size);
  if (const auto length = integer(json, "max_patch_length", 0); length > 0) r.max_patch_length = length;
  return r;
}

Error cannot_say(const std::string& what) {
  return usage_error(cat("Meta's format cannot say that ", what));
}

// multiple_of and ffn_dim_multiplier that give all the sizes by spec 5.2.
struct FfnRule {
  std::int64_t multiple_of = 256;
  double multiplier = 1;
};
FfnRule ffn_rule(const std::vector<const TransformerConfig*>& shapes) {
  std::int64_t divisor = 0;
  for (const auto* s : shapes) divisor = std::gcd(divisor, s->ffn_dim);
  const auto holds = [&](const FfnRule& rule) {
    return std::all_of(shapes.begin(), shapes.end(), [&](const TransformerConfig* s) {
      return ffn_of(s->dim, rule.multiplier, rule.multiple_of) == s->ffn_dim;
    });
  };
  std::vector<std::int64_t> multiples = {256};
  for (std::int64_t m = divisor; m >= 1; --m) {
    if (divisor % m == 0) multiples.push_back(m);
  }
  for (const auto m : multiples) {
    if (holds({m, 1})) return {m, 1};
  }
  for (const auto m : multiples) {
    // A part's multiplier may lie anywhere in [low, high): the middle of all parts' common range.
    double low = 0, high = 1e9;
    for (const auto* s : shapes) {
      const auto base = static_cast<double>(8 * s->dim / 3);
      low = std::max(low, static_cast<double>(s->ffn_dim - m + 1) / base);
      high = std::min(high, static_cast<double>(s->ffn_dim + 1) / base);
    }
    if (low < high && holds({m, (low + high) / 2})) return {m, (low + high) / 2};
  }
  throw cannot_say("the feed-forward sizes follow no common rule");
}

const char* mode_of(patch::Scheme scheme) {
  switch (scheme) {
    case patch::Scheme::strided: return "static";
    case patch::Scheme::space: return "space";
    case patch::Scheme::byte: return "byte";
    case patch::Scheme::delimiter: return "bpe";
    case patch::Scheme::topk: throw cannot_say("patches are the top-k of a text");
    default: return "entropy";
  }
}

Json rules_to(const patch::Rules& r, const char* threshold, const char* threshold_add) {
  if (r.newline_reset) throw cannot_say("entropies start anew at newlines");
  return {{"patching_mode", mode_of(r.scheme)},
          {threshold, r.threshold},
          {threshold_add, r.scheme == patch::Scheme::combined ? Json(r.threshold_add) : Json(nullptr)},
          {"monotonicity", r.scheme == patch::Scheme::monotonic},
          {"max_patch_length", r.max_patch_length ? Json(*r.max_patch_length) : Json(nullptr)},
          {"patch_size", r.patch_size}};
}

Json null_or(std::int64_t value, bool null) { return null ? Json(nullptr) : Json(value); }

}  // namespace

ByteLmConfig byte_lm_from_meta(const Json& args) {
  require_supported(args);
  ByteLmConfig c;
  c.transformer = shape_of(args, required(args, "dim"), required(args, "n_layers"), required(args, "n_heads"),
                           integer(args, "n_kv_heads", 0), integer(args, "max_seqlen", 8192));
  // Meta's loader sets 512 itself (spec 1.3).
  c.semantics.window = integer(args, "sliding_window", 512);
  check(c);
  return c;
}

BltConfig blt_from_meta(const Json& args, const Json& patcher) {
  require_supported(args);
  BltConfig c;
  const std::int64_t bytes = integer(args, "max_encoder_seq_length", 24576);
  const auto local = [&](const char* dim, const char* layers, const char* heads) {
    return shape_of(args, required(args, dim), required(args, layers), required(args, heads), integer(args, "n_kv_heads", 0), bytes);
  };
  c.encoder = local("dim_local_encoder", "n_layers_local_encoder", "n_heads_local_encoder");
  c.decoder = local("dim_local_decoder", "n_layers_local_decoder", "n_heads_local_decoder");
  c.latent = shape_of(args, required(args, "dim_global"), required(args, "n_layers_global"), required(args, "n_heads_global"),
                      integer(args, "n_kv_heads_global", 0), integer(args, "max_seqlen", 4096));
  c.cross_k = required(args, "cross_attn_k");
  // Cross-attention keeps full key and value heads under grouped-query attention too (spec 11b).
  const auto cross = [&](const TransformerConfig& part) {
    const std::int64_t heads = integer(args, "cross_attn_nheads", part.heads);
    return CrossHeads{heads, heads};
  };
  c.encoder_cross = cross(c.encoder);
  c.decoder_cross = cross(c.decoder);
  c.cross_all_encoder_layers = boolean(args, "cross_attn_all_layers_encoder", false);
  c.cross_all_decoder_layers = boolean(args, "cross_attn_all_layers_decoder", false);
  c.hash_group_sizes = hash_sizes(args);
  c.hash_rows = integer(args, "encoder_hash_byte_group_vocab", 30000);
  c.hash_functions = integer(args, "encoder_hash_byte_group_nb_functions", 3);
  c.semantics.window = integer(args, "local_attention_window_len", 0);
  c.patching = patcher.is_object() ? rules_of(patcher, "threshold", "threshold_add")
                                   : rules_of(args, "patching_threshold", "patching_threshold_add");
  check(c);
  return c;
}

Json byte_lm_to_meta(const ByteLmConfig& c) {
  const TransformerConfig& t = c.transformer;
  const FfnRule ffn = ffn_rule({&t});
  if (!c.semantics.eos_blocks) throw cannot_say("the entropy model sees across an EOS");
  return {{"dim", t.dim},
          {"n_layers", t.layers},
          {"n_heads", t.heads},
          {"n_kv_heads", null_or(t.kv_heads, t.kv_heads == t.heads)},
          {"ffn_dim_multiplier", ffn.multiplier},
          {"multiple_of", ffn.multiple_of},
          {"norm_eps", t.norm_eps},
          {"rope_theta", t.rope_theta},
          {"max_seqlen", t.max_positions},
          {"attn_impl", "xformers"},
          {"attn_bias_type", "local_block_causal"},
          {"sliding_window", c.semantics.window},
          {"eos_id", patch::eos_id},
          {"vocab_size", patch::vocab_size},
          {"weight_tying", false}};
}

Json patcher_to_meta(const patch::Rules& rules) { return rules_to(rules, "threshold", "threshold_add"); }

Json blt_to_meta(const BltConfig& c) {
  const TransformerConfig &e = c.encoder, &d = c.decoder, &g = c.latent;
  if (e.rope_theta != d.rope_theta || e.rope_theta != g.rope_theta) throw cannot_say("the parts' rope_theta differ");
  if (e.norm_eps != d.norm_eps || e.norm_eps != g.norm_eps) throw cannot_say("the parts' rms_norm_eps differ");
  if (e.max_positions != d.max_positions) throw cannot_say("encoder and decoder have trained lengths of their own");
  if (e.kv_heads * d.heads != d.kv_heads * e.heads) throw cannot_say("only one local model has grouped queries");
  const TransformerConfig ec = c.encoder_cross_shape(), dc = c.decoder_cross_shape();
  if (ec.kv_heads != ec.heads || dc.kv_heads != dc.heads) throw cannot_say("cross-attention has grouped queries");
  if (ec.heads != dc.heads) throw cannot_say("the two cross-attentions differ in heads");
  const Semantics& s = c.semantics;
  if (!s.eos_blocks) throw cannot_say("attention sees across an EOS");
  if (s.repool && c.cross_all_encoder_layers && e.layers > 1) throw cannot_say("patches are pooled anew in every encoder layer");
  if (s.open_end && c.patching.max_patch_length) throw cannot_say("the last patch stays open");
  const FfnRule ffn = ffn_rule({&e, &g, &d});
  Json json = {{"vocab_size", patch::vocab_size},
               {"dim", g.dim},
               {"dim_global", g.dim},
               {"n_layers_global", g.layers},
               {"n_heads_global", g.heads},
               {"n_kv_heads_global", null_or(g.kv_heads, g.kv_heads == g.heads)},
               {"dim_local_encoder", e.dim},
               {"n_layers_local_encoder", e.layers},
               {"n_heads_local_encoder", e.heads},
               {"dim_local_decoder", d.dim},
               {"n_layers_local_decoder", d.layers},
               {"n_heads_local_decoder", d.heads},
               {"n_kv_heads", null_or(e.kv_heads, e.kv_heads == e.heads)},
               {"dim_token", e.dim},
               {"multiple_of", ffn.multiple_of},
               {"ffn_dim_multiplier", ffn.multiplier},
               {"norm_eps", e.norm_eps},
               {"rope_theta", e.rope_theta},
               {"rope_use_fp32_in_outer_product", true},
               {"cross_attn_encoder", true},
               {"cross_attn_decoder", true},
               {"cross_attn_k", c.cross_k},
               {"cross_attn_nheads", ec.heads},
               {"cross_attn_all_layers_encoder", c.cross_all_encoder_layers},
               {"cross_attn_all_layers_decoder", c.cross_all_decoder_layers},
               {"cross_attn_init_by_pooling", true},
               {"downsampling_by_pooling", "max"},
               {"cross_attn_use_flex_attention", true},
               {"encoder_hash_byte_group_size", c.hash_group_sizes.empty() ? Json(nullptr) : Json(c.hash_group_sizes)},
               {"encoder_hash_byte_group_vocab", c.hash_rows},
               {"encoder_hash_byte_group_nb_functions", c.hash_functions},
               {"attn_impl", "xformers"},
               {"attn_bias_type", "block_causal"},
               {"local_attention_window_len", null_or(s.window, s.window == 0)},
               {"max_seqlen", g.max_positions},
               {"max_encoder_seq_length", e.max_positions},
               {"share_encoder_decoder_emb", true},
               {"use_local_encoder_transformer", true},
               {"eos_id", patch::eos_id},
               {"weight_tying", false},
               {"patch_in_forward", false}};
  json.update(rules_to(c.patching, "patching_threshold", "patching_threshold_add"));
  return json;
}

}  // namespace blt::model
