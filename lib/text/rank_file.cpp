// SPDX-License-Identifier: MIT
// tiktoken's rank files: one "base64-of-the-token rank" a line. Any two neighbours whose joined
// bytes are a token merge, lowest rank first.
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "blt/base/error.h"
#include "tokenizer_impl.h"

namespace blt::text {
namespace {

// As tiktoken 0.14 and Llama 3's tokenizer.py write them.
struct NamedSplit {
  std::string_view name;
  const char* pattern;
};
constexpr NamedSplit named_splits[] = {
    {"gpt2", R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)"},
    {"cl100k", R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+|)"
               R"( ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)"},
    {"llama3", R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
               R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"o200k", R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
              R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
              R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
              R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
              R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
};

std::string_view split_for_count(std::size_t ranks) {
  switch (ranks) {
    case 50256:
    case 50257:
    case 50280:
      return "gpt2";
    case 100256:
      return "cl100k";
    case 128000:
      return "llama3";
    case 199998:
    case 200000:
      return "o200k";
    default:
      return "";
  }
}

const NamedSplit& choose_split(const std::string& name, std::size_t ranks) {
  const std::string_view wanted = name == "auto" ? split_for_count(ranks) : std::string_view(name);
  for (const auto& split : named_splits) {
    if (split.name == wanted) return split;
  }
  const char* const hint = "name one: FILE:gpt2, FILE:cl100k, FILE:llama3 or FILE:o200k";
  if (name == "auto")
    throw usage_error(cat("the number of ranks, ", ranks, ", does not tell the split pattern"),
                      hint);
  throw usage_error(cat("unknown split pattern '", name, "'"), hint);
}

std::optional<std::string> decode_base64(std::string_view text) {
  static constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const auto digit = alphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  if (out.empty()) return std::nullopt;
  return out;
}

void read_line(std::string_view line, std::size_t number, Tokenizer::Impl& out) {
  const auto space = line.find(' ');
  const auto bytes =
      space == std::string_view::npos ? std::nullopt : decode_base64(line.substr(0, space));
  Token rank = 0;
  const char* const end = line.data() + line.size();
  const bool has_rank = bytes && [&] {
    const auto [stop, error] = std::from_chars(line.data() + space + 1, end, rank);
    return error == std::errc() && stop == end;
  }();
  if (!has_rank || rank > 50'000'000)
    throw input_error(cat("line ", number, " is not \"base64 rank\""));
  if (rank >= out.bytes.size()) out.bytes.resize(rank + 1);
  if (!out.bytes[rank].empty())
    throw input_error(cat("line ", number, ": rank ", rank, " for the second time"));
  if (!out.tokens.emplace(*bytes, rank).second)
    throw input_error(cat("line ", number, ": a token for the second time"));
  out.bytes[rank] = *bytes;
}

// Each way to put a token together from two others.
void index_pairs(Tokenizer::Impl& tokenizer) {
  tokenizer.pairs.reserve(4 * tokenizer.tokens.size());
  for (Token rank = 0; rank < tokenizer.bytes.size(); ++rank) {
    const std::string_view whole = tokenizer.bytes[rank];
    for (std::size_t cut = 1; cut < whole.size(); ++cut) {
      const auto left = tokenizer.tokens.find(whole.substr(0, cut));
      if (left == tokenizer.tokens.end()) continue;
      const auto right = tokenizer.tokens.find(whole.substr(cut));
      if (right != tokenizer.tokens.end())
        tokenizer.pairs.set(left->second, right->second, rank, rank);
    }
  }
}

}  // namespace

std::span<const std::string_view> split_names() {
  static constexpr auto names = [] {
    std::array<std::string_view, std::size(named_splits)> out;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = named_splits[i].name;
    return out;
  }();
  return names;
}

std::unique_ptr<Tokenizer::Impl> read_rank_file(std::string_view file, const std::string& split) {
  auto out = std::make_unique<Tokenizer::Impl>();
  const auto lines = static_cast<std::size_t>(std::count(file.begin(), file.end(), '\n')) + 1;
  out->tokens.reserve(lines);
  out->bytes.reserve(lines);
  for (std::size_t number = 1; !file.empty(); ++number) {
    const auto newline = file.find('\n');
    std::string_view line = file.substr(0, newline);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) read_line(line, number, *out);
    file.remove_prefix(newline == std::string_view::npos ? file.size() : newline + 1);
  }
  if (out->tokens.empty()) throw input_error("no ranks in it");
  const NamedSplit& chosen = choose_split(split, out->tokens.size());
  out->split = chosen.name;
  out->stages = {
      {SplitStage::Kind::matches, std::make_shared<Regex>(chosen.pattern, RegexDialect::rust)}};
  out->whole_piece_first = true;
  out->index_bytes();
  index_pairs(*out);
  return out;
}

}  // namespace blt::text
