// SPDX-License-Identifier: MIT
// Drafts out of the text itself: what followed where its last ids stood before (prompt lookup decoding, Saxena 2023).
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "blt/patch/entropy_source.h"

namespace blt::generate {

class Lookup {
 public:
  void append(patch::TokenId id);
  // At most `most` ids, and no more than agree before them. None, where the last ids are new.
  std::vector<patch::TokenId> next(std::int64_t most) const;

  static constexpr std::size_t least = 5;  // ids that must agree

 private:
  std::vector<patch::TokenId> ids_;
  std::unordered_map<std::uint64_t, std::size_t> after_;  // the last `least` ids -> where the ids after them begin
  std::size_t match_ = 0;                                 // the place before; 0: none
};

}  // namespace blt::generate
