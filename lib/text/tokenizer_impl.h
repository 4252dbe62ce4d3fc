// SPDX-License-Identifier: MIT
// The parts of a tokenizer, filled by the readers of the two file formats.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "blt/text/bpe.h"
#include "merge.h"
#include "split.h"

namespace blt::text {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};
template <class T>
using TextMap = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

struct Tokenizer::Impl {
  std::string split;
  std::vector<SplitStage> stages;
  std::vector<std::string> bytes;  // by token; empty where a number is not used
  TextMap<Token> tokens;           // by bytes
  std::array<Token, 256> byte_tokens{};
  PairTable pairs;
  // A piece that is a token as a whole is that token, whatever the merges say (tiktoken;
  // tokenizer.json's ignore_merges).
  bool whole_piece_first = false;

  // Fills byte_tokens. Errors: input (a byte without a token).
  void index_bytes();
};

std::unique_ptr<Tokenizer::Impl> read_rank_file(std::string_view file, const std::string& split);
std::unique_ptr<Tokenizer::Impl> read_tokenizer_json(std::string_view file);

}  // namespace blt::text
