// SPDX-License-Identifier: MIT
#include "choices.h"

#include <algorithm>
#include <cmath>

namespace blt::generate {
namespace {

constexpr std::size_t vocabulary = patch::vocab_size;

std::span<const float> row(std::span<const float> logits, std::size_t index) {
  return logits.subspan(index * vocabulary, vocabulary);
}

// Heads stop drafting where their drafts so far would all hold with less than this probability: a byte more to verify
// costs up to half a step (docs/results.md), and the heads are sure of few. A stale latent is nearly always right.
constexpr double least_confidence = 0.3;

// Where less than this share of drafts is kept, they cost more than they save: then only some passes try any, to see whether
// the text has changed. Earlier passes may decide that; each pass by itself is exact.
constexpr double least_kept = 0.25;
constexpr std::int64_t probe_interval = 8;

// The probability of the likeliest id.
double most_likely(std::span<const float> logits) {
  const float best = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - best));
  return 1 / sum;
}

double probability(const std::vector<Candidate>& list, patch::TokenId id) {
  for (const auto& c : list) {
    if (c.id == id) return c.probability;
  }
  return 0;
}

// What a rejected draft leaves: max(0, p - q), normalised.
std::vector<Candidate> residual(const std::vector<Candidate>& target, const std::vector<Candidate>& drafted) {
  std::vector<Candidate> out;
  double sum = 0;
  for (const auto& c : target) {
    const double rest = c.probability - probability(drafted, c.id);
    if (rest <= 0) continue;
    out.push_back({c.id, rest});
    sum += rest;
  }
  if (out.empty()) return target;  // rounding: both are the same
  for (auto& c : out) c.probability /= sum;
  return out;
}

}  // namespace

Choices::Choices(Engine& engine, std::span<const patch::TokenId> prompt, std::span<const float> logits, const Sampler& sampler, Constraint* constraint,
                 Speculation speculation, std::int64_t draft)
    : engine_(engine),
      first_(logits.begin(), logits.end()),
      sampler_(sampler),
      constraint_(constraint),
      speculation_(speculation),
      draft_(speculation == Speculation::off ? 0 : draft),
      position_(engine.position()) {
  if (constraint_) constraint_->reset();
  if (speculation_ == Speculation::lookup) {
    for (const auto id : prompt) lookup_.append(id);
  }
}

patch::TokenId Choices::next(std::int64_t wanted) {
  if (given_ == ready_.size()) refill(wanted);
  ++position_;
  return ready_[given_++];
}

void Choices::refill(std::int64_t wanted) {
  if (ready_.empty()) return take(sampler_.pick(candidates(first_)));
  std::int64_t most = std::min(draft_, wanted - 1);
  if (kept_ < least_kept && ++passed_over_ % probe_interval != 0) most = 0;
  const auto drafts = draft(most);
  const std::int64_t accepted = counts_.accepted;
  try_drafts(drafts);
  if (drafts.empty()) return;
  const double kept = static_cast<double>(counts_.accepted - accepted) / static_cast<double>(drafts.size());
  kept_ += 0.1 * (kept - kept_);
}

void Choices::take(patch::TokenId id) {
  advance(id);
  ready_.push_back(id);
  if (speculation_ == Speculation::lookup) lookup_.append(id);
}

void Choices::advance(patch::TokenId id) {
  if (constraint_ && id != patch::eos_id) constraint_->advance(static_cast<std::uint8_t>(id - patch::byte_offset));
}

std::vector<Candidate> Choices::candidates(std::span<const float> logits) const {
  return sampler_.candidates(logits, constraint_ ? &constraint_->allowed() : nullptr);
}

// The constraint goes along; an EOS ends the draft.
std::vector<Choices::Draft> Choices::draft(std::int64_t most) {
  const patch::TokenId last = ready_.back();
  std::vector<Draft> out;
  if (most <= 0) return out;
  if (speculation_ == Speculation::lookup) return look_up(most);
  const bool heads = speculation_ == Speculation::heads;
  const std::span<const float> ahead = heads ? engine_.future() : std::span<const float>();
  if (heads) most = std::min(most, engine_.heads() - 1);
  std::int64_t guesses = 0;
  double confidence = 1;
  while (static_cast<std::int64_t>(out.size()) < most && !(constraint_ && constraint_->complete())) {
    if (!out.empty() && out.back().id == patch::eos_id) break;
    std::span<const float> logits;
    if (heads) {
      logits = row(ahead, out.size());
    } else {
      logits = engine_.guess(out.empty() ? last : out.back().id);
      ++guesses;
    }
    // Of the distribution alone, not of the id drawn from it: which drafts are tried must not depend on how they fell.
    confidence *= most_likely(logits);
    if (heads && confidence < least_confidence) break;
    auto from = candidates(logits);
    const patch::TokenId id = sampler_.pick(from);
    advance(id);
    out.push_back({id, std::move(from)});
  }
  if (guesses > 0) engine_.rollback(guesses);
  counts_.guesses += guesses;
  counts_.drafted += static_cast<std::int64_t>(out.size());
  return out;
}

// What is drafted is certain of itself: it stays with the probability that the model gives it.
std::vector<Choices::Draft> Choices::look_up(std::int64_t most) {
  std::vector<Draft> out;
  for (const auto id : lookup_.next(most)) {
    if (constraint_ && !constraint_->allowed().has(static_cast<std::uint8_t>(id - patch::byte_offset))) break;
    advance(id);
    out.push_back({id, {{id, 1.0}}});
  }
  counts_.drafted += static_cast<std::int64_t>(out.size());
  return out;
}

// One pass over the last choice and the drafts behind it: those that the model would have chosen stay, and one id more.
void Choices::try_drafts(const std::vector<Draft>& drafts) {
  std::vector<patch::TokenId> ids = {ready_.back()};
  for (const auto& d : drafts) {
    if (d.id != patch::eos_id) ids.push_back(d.id);
  }
  ready_.clear();
  given_ = 0;
  const auto logits = engine_.extend(ids);
  ++counts_.passes;
  if (constraint_) constraint_->rollback(static_cast<std::int64_t>(ids.size()) - 1);
  for (const auto& d : drafts) {
    const std::size_t at = ready_.size();
    const auto target = candidates(row(logits, at));
    if (sampler_.uniform() * probability(d.from, d.id) < probability(target, d.id)) {
      ++counts_.accepted;
      take(d.id);
      if (d.id == patch::eos_id) return;
      continue;
    }
    const patch::TokenId id = sampler_.pick(residual(target, d.from));
    engine_.rollback(static_cast<std::int64_t>(ids.size() - 1 - at));
    return take(id);
  }
  if (constraint_ && constraint_->complete()) return;
  take(sampler_.pick(candidates(row(logits, ready_.size()))));
}

}  // namespace blt::generate
