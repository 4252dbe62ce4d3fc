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

// Heads stop drafting where their drafts so far would all hold with less than this probability: a byte more to verify costs a
// good part of a step, and may close a patch in vain; beside a stale latent it costs little (docs/results.md).
constexpr double least_confidence = 0.3, least_confidence_of_guesses = 0.15;

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
                 const DraftSources& sources)
    : engine_(engine),
      first_(logits.begin(), logits.end()),
      sampler_(sampler),
      constraint_(constraint),
      sources_(sources),
      position_(engine.position()) {
  if (constraint_) constraint_->reset();
  if (sources_.lookup == 0) return;
  for (const auto id : prompt) lookup_.append(id);
}

patch::TokenId Choices::next(std::int64_t wanted) {
  if (given_ == ready_.size()) refill(wanted);
  ++position_;
  return ready_[given_++];
}

bool Choices::Worth::tries() { return kept_ >= least_kept || ++passed_over_ % probe_interval == 0; }

void Choices::Worth::tried(std::size_t kept, std::size_t drafts) {
  kept_ += 0.1 * (static_cast<double>(kept) / static_cast<double>(drafts) - kept_);
  held_ += 0.2 * (static_cast<double>(kept) - held_);
  broken_ += 0.2 * ((kept < drafts ? 1.0 : 0.0) - broken_);
}

std::int64_t Choices::Worth::run() const { return static_cast<std::int64_t>(std::ceil(std::min(held_ / broken_, 1000.0))); }

void Choices::refill(std::int64_t wanted) {
  if (ready_.empty()) return take(sampler_.pick(candidates(first_)));
  const auto most = [&](std::int64_t source) { return std::min(source, wanted - 1); };
  const auto found = lookup_.next(most(sources_.lookup));
  if (!found.empty() && looked_up_.tries()) {
    const auto drafts = look_up(found);
    const std::int64_t accepted = counts_.accepted;
    if (!drafts.empty()) {
      try_drafts(drafts, looked_up_);
      counts_.looked_up += counts_.accepted - accepted;
      return;
    }
  }
  std::vector<Draft> drafts;
  const std::int64_t predicted = most(std::max(sources_.heads, sources_.latent));
  if (predicted > 0 && predicted_.tries()) {
    drafts = sources_.latent > 0 ? ask_stale_latent(std::clamp<std::int64_t>(predicted_.run(), 1, predicted)) : ask_heads(predicted, least_confidence);
  }
  try_drafts(drafts, predicted_);
}

void Choices::take(patch::TokenId id) {
  advance(id);
  ready_.push_back(id);
  if (sources_.lookup > 0) lookup_.append(id);
}

void Choices::advance(patch::TokenId id) {
  if (constraint_ && id != patch::eos_id) constraint_->advance(static_cast<std::uint8_t>(id - patch::byte_offset));
}

std::vector<Candidate> Choices::candidates(std::span<const float> logits) const {
  return sampler_.candidates(logits, constraint_ ? &constraint_->allowed() : nullptr);
}

// What is drafted is certain of itself: it stays with the probability that the model gives it.
std::vector<Choices::Draft> Choices::look_up(const std::vector<patch::TokenId>& found) {
  std::vector<Draft> out;
  for (const auto id : found) {
    if (constraint_ && !constraint_->allowed().has(static_cast<std::uint8_t>(id - patch::byte_offset))) break;
    advance(id);
    out.push_back({id, {{id, 1.0}}});
  }
  return out;
}

// The constraint goes along; an EOS ends the drafts.
std::vector<Choices::Draft> Choices::ask_heads(std::int64_t most, double least) {
  std::vector<Draft> out;
  double confidence = 1;
  while (static_cast<std::int64_t>(out.size()) < most && !(constraint_ && constraint_->complete())) {
    if (!out.empty() && out.back().id == patch::eos_id) break;
    const auto logits = engine_.future(static_cast<std::int64_t>(out.size()) + 2);
    // Of the distribution alone, not of the id drawn from it: which drafts are tried must not depend on how they fell.
    confidence *= most_likely(logits);
    if (confidence < least) break;
    auto from = candidates(logits);
    const patch::TokenId id = sampler_.pick(from);
    advance(id);
    out.push_back({id, std::move(from)});
  }
  return out;
}

// Its drafts are its choices: heads draft them as they draft the model's.
std::vector<Choices::Draft> Choices::ask_stale_latent(std::int64_t most) {
  const std::int64_t begin = engine_.position();
  std::vector<Draft> out;
  while (static_cast<std::int64_t>(out.size()) < most && !(constraint_ && constraint_->complete())) {
    const patch::TokenId last = out.empty() ? ready_.back() : out.back().id;
    if (!out.empty() && last == patch::eos_id) break;
    const auto drafts = ask_heads(std::min(sources_.heads, most - static_cast<std::int64_t>(out.size()) - 1), least_confidence_of_guesses);
    const auto ids = ids_of_pass(last, drafts);
    const auto logits = engine_.guess(ids);
    ++counts_.guesses;
    if (constraint_) constraint_->rollback(static_cast<std::int64_t>(ids.size()) - 1);
    verify(drafts, logits, [&](patch::TokenId id, std::vector<Candidate> from) {
      advance(id);
      out.push_back({id, std::move(from)});
    });
  }
  engine_.rollback(engine_.position() - begin);
  return out;
}

std::vector<patch::TokenId> Choices::ids_of_pass(patch::TokenId last, const std::vector<Draft>& drafts) {
  std::vector<patch::TokenId> ids = {last};
  for (const auto& d : drafts) {
    if (d.id != patch::eos_id) ids.push_back(d.id);
  }
  return ids;
}

// One pass over the last choice and the drafts behind it: those that the model would have chosen stay, and one id more.
void Choices::try_drafts(const std::vector<Draft>& drafts, Worth& source) {
  const auto ids = ids_of_pass(ready_.back(), drafts);
  ready_.clear();
  given_ = 0;
  const auto logits = engine_.extend(ids);
  ++counts_.passes;
  if (constraint_) constraint_->rollback(static_cast<std::int64_t>(ids.size()) - 1);
  const std::size_t accepted = verify(drafts, logits, [this](patch::TokenId id, const std::vector<Candidate>&) { take(id); });
  counts_.drafted += static_cast<std::int64_t>(drafts.size());
  counts_.accepted += static_cast<std::int64_t>(accepted);
  if (!drafts.empty()) source.tried(accepted, drafts.size());
}

// Rejection sampling -> the drafts that stay. Calls keep(id, what it was drawn from) for them, and for one id more, before which the
// engine ends. logits: after the id before the drafts, and after each of them but an EOS, which the engine holds.
template <class Keep>
std::size_t Choices::verify(const std::vector<Draft>& drafts, std::span<const float> logits, Keep&& keep) {
  for (std::size_t at = 0; at < drafts.size(); ++at) {
    const Draft& d = drafts[at];
    auto target = candidates(row(logits, at));
    if (sampler_.uniform() * probability(d.from, d.id) < probability(target, d.id)) {
      keep(d.id, std::move(target));
      if (d.id == patch::eos_id) return at + 1;
      continue;
    }
    const patch::TokenId id = sampler_.pick(residual(target, d.from));
    engine_.rollback(static_cast<std::int64_t>(logits.size() / vocabulary - 1 - at));
    keep(id, std::move(target));
    return at;
  }
  if (!constraint_ || !constraint_->complete()) {
    auto target = candidates(row(logits, drafts.size()));
    const patch::TokenId id = sampler_.pick(target);
    keep(id, std::move(target));
  }
  return drafts.size();
}

}  // namespace blt::generate
