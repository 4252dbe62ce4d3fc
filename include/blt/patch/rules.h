// SPDX-License-Identifier: MIT
// Patch boundaries as pure functions of token ids and entropies (paper section 2; Meta's rules
// exactly).
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
inline constexpr std::string_view scheme_names[] = {
    "entropy", "monotonic", "combined", "topk", "strided", "space", "byte", "delimiter"};
Scheme parse_scheme(std::string_view name);  // errors: usage
std::string_view scheme_name(Scheme scheme);
bool needs_entropies(Scheme scheme);
// Whether a threshold decides: entropy, monotonic, combined.
bool has_threshold(Scheme scheme);

struct Rules {
  Scheme scheme = Scheme::entropy;
  // Nats. entropy: H > T; monotonic: the rise > T; combined: H > T and the rise > threshold_add.
  double threshold = 1.335442066192627;
  double threshold_add = 0.0;
  double patch_size = 4;  // strided, topk: bytes a patch, a whole number
  std::optional<std::int64_t> max_patch_length;
  // The lengths cover one byte more than the tokens: the next byte.
  bool include_next_token = false;
  // The paper's variant: the entropy context restarts at each newline. The entropies must come from
  // such contexts (document_entropies); for the rules it means that the rise to a newline's entropy
  // is none: H[p] there belongs to the new line's context and H[p-1] to the old one's. As at a
  // document's start the condition on the rise then holds.
  bool newline_reset = false;
};

// Errors: usage (a patch size or maximum that the scheme cannot have).
void check_rules(const Rules& rules);

// Lengths of consecutive patches, >= 1 each, for one row. tokens: ids with BOS first; entropies:
// the same count (nats), or empty when the scheme needs none. Sum = tokens.size() +
// include_next_token. Errors: usage, input (counts differ, NaN). Comparisons are made in float32,
// strictly. Of equal entropies topk takes the earlier.
std::vector<std::uint32_t> cut(std::span<const TokenId> tokens, std::span<const float> entropies,
                               const Rules& rules);

// The same for BOS + bytes + EOS, without making ids, in the form that models are trained on: the
// first patch is one position, so a longer one is split in 1 and the rest ([K, K, ...] -> [1, K-1,
// K, ...]). Precondition: not rules.include_next_token. Sum = text.size() + 2.
std::vector<std::uint32_t> cut_document(std::string_view text, std::span<const float> entropies,
                                        const Rules& rules);

// Greedy splitting into pieces of at most m.
std::vector<std::uint32_t> split_long(std::span<const std::uint32_t> lengths,
                                      std::int64_t max_length);

// Splits a first patch longer than 1 in 1 and the rest.
std::vector<std::uint32_t> training_form(std::vector<std::uint32_t> lengths);

// BOS + byte ids [+ EOS].
std::vector<TokenId> encode(std::string_view bytes, bool bos = true, bool eos = true);

}  // namespace blt::patch
