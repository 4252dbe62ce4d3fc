// SPDX-License-Identifier: MIT
#include "lookup.h"

#include <algorithm>

namespace blt::generate {

void Lookup::append(patch::TokenId id) {
  ids_.push_back(id);
  match_ = 0;
  if (ids_.size() < least) return;
  std::uint64_t key = 0;  // exact: an id takes 9 bits
  for (std::size_t i = ids_.size() - least; i < ids_.size(); ++i) key = key << 9 | ids_[i];
  std::size_t& after = after_[key];
  match_ = after;
  after = ids_.size();
}

std::vector<patch::TokenId> Lookup::next(std::int64_t most) const {
  std::vector<patch::TokenId> out;
  if (match_ == 0) return out;
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(most, 0));
  std::size_t agree = least;
  while (agree < count && agree < match_ && ids_[match_ - 1 - agree] == ids_[ids_.size() - 1 - agree]) ++agree;
  for (std::size_t i = match_; out.size() < std::min(agree, count); ++i) {
    // Text that repeats itself goes on past its end.
    const patch::TokenId id = i < ids_.size() ? ids_[i] : out[i - ids_.size()];
    if (id < patch::byte_offset) break;
    out.push_back(id);
  }
  return out;
}

}  // namespace blt::generate
