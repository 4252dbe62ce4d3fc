// SPDX-License-Identifier: MIT
// The merge loop of byte-pair encoding: always the pair of lowest rank, the leftmost of equals.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "blt/text/bpe.h"

namespace blt::text {

// (left, right) -> (rank, merged): an open-addressing table, since lookups are most of the work.
class PairTable {
 public:
  struct Entry {
    std::uint64_t key = empty;
    std::uint32_t rank = 0;
    Token merged = 0;
  };

  void reserve(std::size_t pairs);
  void set(Token left, Token right, std::uint32_t rank,
           Token merged);  // a later rank replaces an earlier one
  // nullptr when the two never merge.
  const Entry* find(Token left, Token right) const {
    if (slots_.empty()) return nullptr;
    const std::uint64_t key = make_key(left, right);
    for (std::size_t i = slot_of(key);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].key == key) return &slots_[i];
      if (slots_[i].key == empty) return nullptr;
    }
  }

 private:
  static constexpr std::uint64_t empty = ~std::uint64_t{0};  // no token has the number 2^32 - 1
  static std::uint64_t make_key(Token left, Token right) {
    return std::uint64_t{left} << 32 | right;
  }
  std::size_t slot_of(std::uint64_t key) const {
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> 32) & (slots_.size() - 1);
  }

  std::vector<Entry> slots_;
  std::size_t used_ = 0;
};

// Merges the tokens of one piece in place; the buffers are kept between calls.
class Merger {
 public:
  void merge(const PairTable& pairs, std::vector<Token>& tokens);

 private:
  struct Candidate {
    std::uint32_t rank;
    std::uint32_t at;
    Token merged;
  };
  void merge_short(const PairTable& pairs, std::vector<Token>& tokens);
  void merge_long(const PairTable& pairs, std::vector<Token>& tokens);

  std::vector<const PairTable::Entry*> entries_;
  std::vector<Candidate> heap_;
  std::vector<std::uint32_t> previous_, next_;
};

}  // namespace blt::text
