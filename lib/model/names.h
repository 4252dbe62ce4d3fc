// SPDX-License-Identifier: MIT
// Tensor names of Meta's state dicts and of the Hugging Face layout (spec 5.10).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace blt::model {

inline constexpr std::string_view hash_tables_name = "model.encoder_hash_tok_embedding.weight";
inline constexpr std::string_view patcher_prefix = "model.patcher.";
// Heads of multi-token prediction have a file of their own, so that model.safetensors holds what transformers expects.
inline constexpr std::string_view heads_prefix = "heads.";
inline constexpr const char* heads_file = "/heads.safetensors";

std::string blt_name_from_meta(std::string_view meta);
std::string blt_name_to_meta(std::string_view name);  // not for the hash tables
std::string byte_lm_name_from_meta(std::string_view meta);
std::string byte_lm_name_to_meta(std::string_view name);

// Meta keeps each hash table apart: encoder_hash_tok_embedding.N.weight.
std::optional<std::size_t> hash_table_from_meta(std::string_view meta);
std::string hash_table_to_meta(std::size_t table);

}  // namespace blt::model
