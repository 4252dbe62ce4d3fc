// SPDX-License-Identifier: MIT
// Patch boundaries as pure functions of token ids and entropies (paper section 2; Meta's rules exactly).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blt::patch {

using TokenId = std::uint16_t;
inline constexpr TokenId boe_id = 0, bos_id = 1, eos_id = 2, delimiter_id = 3, byte_offset = 4;
inline constexpr int vocab_size = 260;

enum class Scheme { entropy, monotonic, combined, topk, strided, space, byte, delimiter };
inline constexpr std::string_view scheme_names[] = {"entropy", "monotonic", "combined", "topk",
                                                    "strided", "space",     "byte",     "delimiter"};
Scheme parse_scheme(std::string_view name);  // errors: usage
bool needs_entropies(Scheme scheme);

struct Rules {
  Scheme scheme = Scheme::entropy;
  double threshold = 1.335442066192627;   // nats; entropy: H > T; monotonic: rise > T; combined: both
  double threshold_add = 0.0;             // combined: the rise must exceed this
  double patch_size = 4;                  // strided, topk: bytes a patch
  std::optional<std::int64_t> max_patch_length;
  bool include_next_token = false;        // the lengths cover one byte more than the tokens (the next byte)
  bool newline_reset = false;             // the paper's variant: the entropy context restarts at each newline
};

// Lengths of consecutive patches, >= 1 each, for one row. tokens: ids with BOS first; entropies: the same count (nats), or
// empty when the scheme needs none. Sum = tokens.size() + include_next_token. Errors: usage, input (counts differ, NaN).
std::vector<std::uint32_t> cut(std::span<const TokenId> tokens, std::span<const float> entropies, const Rules& rules);

// Greedy splitting into pieces of at most m, in place.
std::vector<std::uint32_t> split_long(std::span<const std::uint32_t> lengths, std::int64_t max_length);

// BOS + byte ids [+ EOS].
std::vector<TokenId> encode(std::string_view bytes, bool bos = true, bool eos = true);

}  // namespace blt::patch
