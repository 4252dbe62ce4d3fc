// SPDX-License-Identifier: MIT
#include "merge.h"

#include <algorithm>
#include <bit>

namespace blt::text {
namespace {

// Up to this many bytes scanning for the least rank is faster than a heap (quadratic, but tiny and
// in cache).
constexpr std::size_t short_piece = 64;
constexpr Token merged_away = ~Token{0};

}  // namespace

void PairTable::reserve(std::size_t pairs) {
  const std::size_t wanted = std::bit_ceil(2 * pairs + 16);
  if (wanted <= slots_.size()) return;
  std::vector<Entry> old(wanted);
  old.swap(slots_);
  used_ = 0;
  for (const Entry& entry : old) {
    if (entry.key != empty) {
      set(static_cast<Token>(entry.key >> 32), static_cast<Token>(entry.key), entry.rank,
          entry.merged);
    }
  }
}

void PairTable::set(Token left, Token right, std::uint32_t rank, Token merged) {
  if (2 * (used_ + 1) > slots_.size()) reserve(2 * used_ + 16);
  const std::uint64_t key = make_key(left, right);
  std::size_t i = slot_of(key);
  while (slots_[i].key != empty && slots_[i].key != key) i = (i + 1) & (slots_.size() - 1);
  used_ += slots_[i].key == empty;
  slots_[i] = {key, rank, merged};
}

void Merger::merge(const PairTable& pairs, std::vector<Token>& tokens) {
  if (tokens.size() < 2) return;
  if (tokens.size() <= short_piece)
    merge_short(pairs, tokens);
  else
    merge_long(pairs, tokens);
}

void Merger::merge_short(const PairTable& pairs, std::vector<Token>& tokens) {
  entries_.resize(tokens.size() - 1);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i)
    entries_[i] = pairs.find(tokens[i], tokens[i + 1]);
  while (true) {
    std::size_t best = entries_.size();
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i] && (best == entries_.size() || entries_[i]->rank < entries_[best]->rank))
        best = i;
    }
    if (best == entries_.size()) return;
    tokens[best] = entries_[best]->merged;
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(best));
    if (best > 0) entries_[best - 1] = pairs.find(tokens[best - 1], tokens[best]);
    if (best < entries_.size()) entries_[best] = pairs.find(tokens[best], tokens[best + 1]);
  }
}

// A linked list of tokens and a heap of candidate pairs; a candidate whose pair has changed since
// is dropped when it comes up.
void Merger::merge_long(const PairTable& pairs, std::vector<Token>& tokens) {
  const auto size = static_cast<std::uint32_t>(tokens.size());
  previous_.resize(size);
  next_.resize(size);
  heap_.clear();
  const auto later = [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
  };
  const auto offer = [&](std::uint32_t at) {
    if (const auto* entry = pairs.find(tokens[at], tokens[next_[at]])) {
      heap_.push_back({entry->rank, at, entry->merged});
      std::push_heap(heap_.begin(), heap_.end(), later);
    }
  };
  for (std::uint32_t i = 0; i < size; ++i) {
    previous_[i] = i - 1;  // of the first: wraps round, never used
    next_[i] = i + 1;
  }
  for (std::uint32_t i = 0; i + 1 < size; ++i) offer(i);
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Candidate top = heap_.back();
    heap_.pop_back();
    const std::uint32_t left = top.at, right = next_[left];
    if (tokens[left] == merged_away || right >= size) continue;
    const auto* entry = pairs.find(tokens[left], tokens[right]);
    if (!entry || entry->rank != top.rank || entry->merged != top.merged) continue;
    tokens[left] = top.merged;
    tokens[right] = merged_away;
    next_[left] = next_[right];
    if (next_[left] < size) {
      previous_[next_[left]] = left;
      offer(left);
    }
    if (left > 0) offer(previous_[left]);
  }
  std::erase(tokens, merged_away);
}

}  // namespace blt::text
