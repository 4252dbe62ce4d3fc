// SPDX-License-Identifier: MIT
#include "blt/patch/rules.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "blt/base/error.h"

namespace blt::patch {
namespace {

using Lengths = std::vector<std::uint32_t>;

// Everything but letters, digits and UTF-8 continuation bytes ends a run: ASCII punctuation, space,
// control, lead bytes. Arithmetic instead of a table, so that loops over text become vector code.
constexpr bool is_spacelike(unsigned char c) {
  const bool digit = static_cast<unsigned char>(c - '0') < 10;
  const bool letter = static_cast<unsigned char>((c | 0x20) - 'a') < 26;
  const bool continuation = (c & 0xC0) == 0x80;
  return !(digit | letter | continuation);
}

// What the rules ask of a row, so that they run on ids and on plain text alike.
struct TokenRow {
  std::span<const TokenId> tokens;
  std::size_t size() const { return tokens.size(); }
  bool special(std::size_t p) const { return tokens[p] < byte_offset; }
  bool spacelike(std::size_t p) const {
    return special(p) || (tokens[p] < vocab_size &&
                          is_spacelike(static_cast<unsigned char>(tokens[p] - byte_offset)));
  }
  bool newline(std::size_t p) const { return tokens[p] == '\n' + byte_offset; }
  bool delimiter(std::size_t p) const { return tokens[p] == delimiter_id; }
};

struct TextRow {  // BOS + text + EOS
  std::string_view text;
  std::size_t size() const { return text.size() + 2; }
  bool special(std::size_t p) const { return p == 0 || p == text.size() + 1; }
  bool spacelike(std::size_t p) const {
    return special(p) || is_spacelike(static_cast<unsigned char>(text[p - 1]));
  }
  bool newline(std::size_t p) const { return !special(p) && text[p - 1] == '\n'; }
  bool delimiter(std::size_t) const { return false; }
};

// Collects starts in order as lengths. Starts at or after the end are none (their patches would be
// empty).
class Starts {
 public:
  explicit Starts(std::size_t total) : total_(total) {
    lengths_.reserve(total / 4 + 4);
    if (total > 1)
      add(1);  // first_ids = [0, 1]: BOS is a patch of its own, the first byte always starts one
  }
  void add(std::size_t start) {
    if (start >= total_ || start <= last_) return;
    lengths_.push_back(static_cast<std::uint32_t>(start - last_));
    last_ = start;
  }
  Lengths finish() {
    if (total_ > 0) lengths_.push_back(static_cast<std::uint32_t>(total_ - last_));
    return std::move(lengths_);
  }

 private:
  std::size_t total_;
  std::size_t last_ = 0;
  Lengths lengths_;
};

// A scalar threshold is compared in the entropies' own type.
float as_float(double value) {
  return static_cast<float>(value);
}

Lengths cut_entropy(std::span<const float> h, std::size_t total, const Rules& rules) {
  const float threshold = as_float(rules.threshold);
  Starts starts(total);
  for (std::size_t p = 1; p < h.size(); ++p) {
    if (h[p] > threshold) starts.add(p + 1);
  }
  return starts.finish();
}

template <class Row>
Lengths cut_monotonic(const Row& row, std::span<const float> h, std::size_t total,
                      const Rules& rules) {
  const float threshold = as_float(rules.threshold);
  Starts starts(total);
  for (std::size_t p = 1; p < h.size(); ++p) {
    // The first position has no entropy before it that counts: byte 2 always starts a patch.
    const bool rises =
        p == 1 || (rules.newline_reset && row.newline(p)) || h[p] - h[p - 1] > threshold;
    if (rises) starts.add(p + 1);
  }
  return starts.finish();
}

template <class Row>
Lengths cut_combined(const Row& row, std::span<const float> h, std::size_t total,
                     const Rules& rules) {
  const float threshold = as_float(rules.threshold), add = as_float(rules.threshold_add);
  Starts starts(total);
  for (std::size_t p = 1; p < h.size(); ++p) {
    // Byte 2 always starts a patch. "Not after another start" is judged by the mask before it is
    // filled, which holds that one start alone: so it forbids byte 3 and nothing else.
    if (p == 2) continue;
    const bool rises = (rules.newline_reset && row.newline(p)) || h[p] - h[p - 1] > add;
    if (p == 1 || (rises && h[p] > threshold)) starts.add(p + 1);
  }
  return starts.finish();
}

Lengths cut_topk(std::span<const float> h, std::size_t total, const Rules& rules) {
  Starts starts(total);
  const auto size = static_cast<std::int64_t>(rules.patch_size);
  const auto row = static_cast<std::int64_t>(h.size());
  const auto wanted =
      std::clamp<std::int64_t>(row / size - 2, 0, std::max<std::int64_t>(row - 1, 0));
  std::vector<std::size_t> order(static_cast<std::size_t>(std::max<std::int64_t>(row - 1, 0)));
  std::iota(order.begin(), order.end(), std::size_t{1});
  const auto before = [&](std::size_t a, std::size_t b) {
    return h[a] != h[b] ? h[a] > h[b] : a < b;
  };
  if (wanted > 0)
    std::nth_element(order.begin(), order.begin() + (wanted - 1), order.end(), before);
  order.resize(static_cast<std::size_t>(wanted));
  std::sort(order.begin(), order.end());
  for (const std::size_t p : order) starts.add(p + 1);
  return starts.finish();
}

Lengths cut_strided(std::size_t total, const Rules& rules) {
  const auto size = static_cast<std::size_t>(std::min<double>(rules.patch_size, 4e9));
  Lengths lengths(total / size, static_cast<std::uint32_t>(size));
  if (total % size) lengths.push_back(static_cast<std::uint32_t>(total % size));
  return lengths;
}

constexpr std::size_t space_chunk = 4096;  // positions, a multiple of 64

// ends[i]: position first + i ends a patch (1 or 0). `before`: the position before is spacelike.
void mark_ends(const TokenRow& row, std::size_t first, std::size_t count, bool before,
               unsigned char* ends) {
  for (std::size_t i = 0; i < count; ++i) {
    const bool spacelike = row.spacelike(first + i);
    ends[i] = spacelike & (!before | row.special(first + i));
    before = spacelike;
  }
}

void mark_ends(const TextRow& row, std::size_t first, std::size_t count, bool before,
               unsigned char* ends) {
  std::array<unsigned char, space_chunk + 1> spacelike;
  spacelike[0] = before;
  const char* text = row.text.data() + first - 1;
  const std::size_t bytes = std::min(count, row.text.size() + 1 - first);
  for (std::size_t i = 0; i < bytes; ++i)
    spacelike[i + 1] = is_spacelike(static_cast<unsigned char>(text[i]));
  for (std::size_t i = 0; i < bytes; ++i) ends[i] = spacelike[i + 1] & (spacelike[i] ^ 1);
  if (bytes < count) ends[bytes] = 1;  // EOS
}

// 64 bytes of 0 or 1 -> 64 bits.
std::uint64_t gather_bits(const unsigned char* bytes) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    std::uint64_t word;
    std::memcpy(&word, bytes + 8 * i, sizeof word);
    bits |= (word * 0x0102040810204080u >> 56) << (8 * i);
  }
  return bits;
}

// Without branches on the text: whether a byte starts a patch is as good as random to the
// processor.
template <class Row>
Lengths cut_space(const Row& row, std::size_t total) {
  const std::size_t size = row.size();
  if (total < 2) return Lengths(total, 1);
  Lengths lengths;
  lengths.reserve(total / 5 + 4);
  lengths.push_back(1);
  std::uint32_t last = 1;
  std::array<unsigned char, space_chunk> ends;
  std::array<std::uint32_t, space_chunk> chunk;
  for (std::size_t p = 1; p < size;) {
    const std::size_t positions = std::min(space_chunk, size - p);
    mark_ends(row, p, positions, row.spacelike(p - 1), ends.data());
    std::fill(ends.begin() + static_cast<std::ptrdiff_t>(positions), ends.end(), 0);
    std::size_t count = 0;
    for (std::size_t i = 0; i < positions; i += 64) {
      for (std::uint64_t bits = gather_bits(ends.data() + i); bits; bits &= bits - 1) {
        const auto start =
            static_cast<std::uint32_t>(p + i + 1) + static_cast<std::uint32_t>(std::countr_zero(bits));
        chunk[count++] = start - last;
        last = start;
      }
    }
    lengths.insert(lengths.end(), chunk.begin(),
                   chunk.begin() + static_cast<std::ptrdiff_t>(count));
    p += positions;
  }
  // A start behind the end, of an ending last token, is none.
  if (last < total) lengths.push_back(static_cast<std::uint32_t>(total) - last);
  return lengths;
}

template <class Row>
Lengths cut_delimiter(const Row& row, std::size_t total) {
  Starts starts(total);
  // The last token is not looked at.
  for (std::size_t p = 1; p + 1 < row.size(); ++p) {
    if (row.delimiter(p)) starts.add(p + 1);
  }
  return starts.finish();
}

void check_entropies(std::span<const float> entropies, std::size_t tokens) {
  if (entropies.size() != tokens) {
    throw input_error(cat(entropies.size(), " entropies for ", tokens, " tokens"),
                      "one a token, BOS (and EOS where it is there) included");
  }
  for (std::size_t p = 0; p < entropies.size(); ++p) {
    if (std::isnan(entropies[p])) throw input_error(cat("entropy ", p, " is not a number"));
  }
}

template <class Row>
Lengths cut_row(const Row& row, std::span<const float> entropies, const Rules& rules) {
  check_rules(rules);
  const std::size_t total = row.size() + (rules.include_next_token ? 1 : 0);
  if (total > std::numeric_limits<std::uint32_t>::max())
    throw input_error("a row of more than 4 GiB");
  if (needs_entropies(rules.scheme)) check_entropies(entropies, row.size());
  Lengths lengths;
  switch (rules.scheme) {
    case Scheme::entropy:
      lengths = cut_entropy(entropies, total, rules);
      break;
    case Scheme::monotonic:
      lengths = cut_monotonic(row, entropies, total, rules);
      break;
    case Scheme::combined:
      lengths = cut_combined(row, entropies, total, rules);
      break;
    case Scheme::topk:
      lengths = cut_topk(entropies, total, rules);
      break;
    case Scheme::strided:
      lengths = cut_strided(total, rules);
      break;
    case Scheme::space:
      lengths = cut_space(row, total);
      break;
    case Scheme::byte:
      lengths.assign(total, 1);
      break;
    case Scheme::delimiter:
      lengths = cut_delimiter(row, total);
      break;
  }
  return rules.max_patch_length ? split_long(lengths, *rules.max_patch_length) : lengths;
}

}  // namespace

Scheme parse_scheme(std::string_view name) {
  for (std::size_t i = 0; i < std::size(scheme_names); ++i) {
    if (scheme_names[i] == name) return static_cast<Scheme>(i);
  }
  std::string names;
  for (const auto known : scheme_names) names += cat(names.empty() ? "" : ", ", known);
  throw usage_error(cat("unknown scheme '", name, "'"), "one of " + names);
}

std::string_view scheme_name(Scheme scheme) {
  return scheme_names[static_cast<std::size_t>(scheme)];
}

bool needs_entropies(Scheme scheme) {
  return has_threshold(scheme) || scheme == Scheme::topk;
}

bool has_threshold(Scheme scheme) {
  return scheme == Scheme::entropy || scheme == Scheme::monotonic || scheme == Scheme::combined;
}

void check_rules(const Rules& rules) {
  if (rules.max_patch_length && *rules.max_patch_length < 1) {
    throw usage_error(cat("maximum patch length ", *rules.max_patch_length, " is below 1"));
  }
  const bool sized = rules.scheme == Scheme::topk || rules.scheme == Scheme::strided;
  if (sized && !(rules.patch_size >= 1 && rules.patch_size < 4e9 &&
                 rules.patch_size == std::floor(rules.patch_size))) {
    throw usage_error(cat("patch size ", rules.patch_size, " of scheme ", scheme_name(rules.scheme),
                          " is not a whole number of at least 1"));
  }
  if (std::isnan(rules.threshold) || std::isnan(rules.threshold_add))
    throw usage_error("a threshold is not a number");
}

std::vector<std::uint32_t> cut(std::span<const TokenId> tokens, std::span<const float> entropies,
                               const Rules& rules) {
  return cut_row(TokenRow{tokens}, entropies, rules);
}

std::vector<std::uint32_t> cut_document(std::string_view text, std::span<const float> entropies,
                                        const Rules& rules) {
  if (rules.include_next_token)
    throw internal_error("a document ends with EOS: there is no next token");
  return training_form(cut_row(TextRow{text}, entropies, rules));
}

std::vector<std::uint32_t> split_long(std::span<const std::uint32_t> lengths,
                                      std::int64_t max_length) {
  if (max_length < 1) throw usage_error(cat("maximum patch length ", max_length, " is below 1"));
  const auto most = static_cast<std::uint32_t>(
      std::min<std::int64_t>(max_length, std::numeric_limits<std::uint32_t>::max()));
  Lengths out;
  out.reserve(lengths.size());
  for (std::uint32_t length : lengths) {
    for (; length > most; length -= most) out.push_back(most);
    out.push_back(length);
  }
  return out;
}

std::vector<std::uint32_t> training_form(std::vector<std::uint32_t> lengths) {
  if (!lengths.empty() && lengths.front() > 1) {
    --lengths.front();
    lengths.insert(lengths.begin(), 1);
  }
  return lengths;
}

std::vector<TokenId> encode(std::string_view bytes, bool bos, bool eos) {
  std::vector<TokenId> ids;
  ids.reserve(bytes.size() + 2);
  if (bos) ids.push_back(bos_id);
  for (const char c : bytes)
    ids.push_back(static_cast<TokenId>(static_cast<unsigned char>(c) + byte_offset));
  if (eos) ids.push_back(eos_id);
  return ids;
}

}  // namespace blt::patch
