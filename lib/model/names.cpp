// SPDX-License-Identifier: MIT
#include "names.h"

#include <charconv>

namespace blt::model {
namespace {

struct Pair {
  std::string_view meta, hf;
};
// The first that matches whole components of a name is replaced.
constexpr Pair components[] = {{"attention.wq", "self_attn.q_proj"},
                               {"attention.wk", "self_attn.k_proj"},
                               {"attention.wv", "self_attn.v_proj"},
                               {"attention.wo", "self_attn.o_proj"},
                               {"feed_forward.w1", "mlp.gate_proj"},
                               {"feed_forward.w3", "mlp.up_proj"},
                               {"feed_forward.w2", "mlp.down_proj"},
                               {"attention_norm", "input_layernorm"},
                               {"ffn_norm", "post_attention_layernorm"},
                               {"cross_attn_norm_q", "q_norm"},
                               {"cross_attn_norm_kv", "k_norm"},
                               {"wq", "q_proj"},
                               {"wk", "k_proj"},
                               {"wv", "v_proj"},
                               {"wo", "o_proj"},
                               {"tok_embeddings", "embed_tokens"}};

std::string translate(std::string_view name, std::string_view Pair::*from, std::string_view Pair::*to) {
  const std::string dotted = "." + std::string(name) + ".";
  for (const Pair& pair : components) {
    const std::string wanted = "." + std::string(pair.*from) + ".";
    const std::size_t at = dotted.find(wanted);
    if (at == std::string::npos) continue;
    std::string out = dotted;
    out.replace(at, wanted.size(), "." + std::string(pair.*to) + ".");
    return out.substr(1, out.size() - 2);
  }
  return std::string(name);
}

constexpr std::string_view blt_prefix = "model.", head = "lm_head.weight";
constexpr std::string_view hash_prefix = "encoder_hash_tok_embedding.", weight = ".weight";

}  // namespace

std::string blt_name_from_meta(std::string_view meta) {
  if (meta == "local_decoder.output.weight") return std::string(head);
  return std::string(blt_prefix) + translate(meta, &Pair::meta, &Pair::hf);
}

std::string blt_name_to_meta(std::string_view name) {
  if (name == head) return "local_decoder.output.weight";
  if (name.starts_with(blt_prefix)) name.remove_prefix(blt_prefix.size());
  return translate(name, &Pair::hf, &Pair::meta);
}

std::string byte_lm_name_from_meta(std::string_view meta) {
  return meta == "output.weight" ? std::string(head) : translate(meta, &Pair::meta, &Pair::hf);
}

std::string byte_lm_name_to_meta(std::string_view name) {
  return name == head ? "output.weight" : translate(name, &Pair::hf, &Pair::meta);
}

std::optional<std::size_t> hash_table_from_meta(std::string_view meta) {
  if (!meta.starts_with(hash_prefix) || !meta.ends_with(weight)) return std::nullopt;
  meta.remove_prefix(hash_prefix.size());
  if (meta.size() <= weight.size()) return std::nullopt;
  meta.remove_suffix(weight.size());
  std::size_t table = 0;
  const auto [end, error] = std::from_chars(meta.data(), meta.data() + meta.size(), table);
  if (error != std::errc() || end != meta.data() + meta.size() || table >= 4096) return std::nullopt;
  return table;
}

std::string hash_table_to_meta(std::size_t table) {
  return std::string(hash_prefix) + std::to_string(table) + std::string(weight);
}

}  // namespace blt::model
