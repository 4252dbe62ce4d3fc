// SPDX-License-Identifier: MIT
#include "blt/generate/sampler.h"

#include <algorithm>
#include <cmath>

#include "blt/base/error.h"
#include "blt/generate/constraint.h"

namespace blt::generate {
namespace {

// The ids that may be chosen.
class Choice {
 public:
  Choice(bool eos, const Allowed* allowed)
      : allowed_(allowed),
        eos_(!allowed ? eos : allowed->end && (eos || !allowed->any_byte())) {}
  bool has(std::size_t id) const {
    if (id < patch::byte_offset) return eos_ && id == patch::eos_id;
    return !allowed_ || allowed_->has(static_cast<std::uint8_t>(id - patch::byte_offset));
  }

 private:
  const Allowed* allowed_;
  bool eos_;
};

void check_logits(std::span<const float> logits) {
  if (logits.size() != static_cast<std::size_t>(patch::vocab_size))
    throw internal_error("logits of another vocabulary");
  for (const float x : logits) {
    if (std::isnan(x) || x == INFINITY)
      throw input_error("the model's logits are not numbers: its weights are damaged");
  }
}

void normalise(std::vector<Candidate>& list) {
  double sum = 0;
  for (const auto& c : list) sum += c.probability;
  for (auto& c : list) c.probability /= sum;
}

// Keeps the fewest of the best whose probabilities reach p.
void keep_nucleus(std::vector<Candidate>& list, double p) {
  double sum = 0;
  std::size_t count = 0;
  while (count < list.size() && (count == 0 || sum < p)) sum += list[count++].probability;
  list.resize(count);
}

}  // namespace

patch::TokenId best(std::span<const float> logits, bool eos, const Allowed* allowed) {
  check_logits(logits);
  const Choice choice(eos, allowed);
  std::size_t id = logits.size();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (choice.has(i) && (id == logits.size() || logits[i] > logits[id])) id = i;
  }
  if (id == logits.size()) throw internal_error("nothing may be chosen");
  return static_cast<patch::TokenId>(id);
}

std::vector<Candidate> candidates(std::span<const float> logits, const SamplerOptions& o,
                                  const Allowed* allowed) {
  const patch::TokenId top = best(logits, o.eos, allowed);
  if (o.temperature == 0) return {{top, 1.0}};
  const double high = logits[top];
  if (high == -INFINITY) {
    if (allowed) return {{top, 1.0}};  // the model rules all of it out, but one it must be
    throw input_error("the model gives no byte a probability: its weights are damaged");
  }
  const Choice choice(o.eos, allowed);
  std::vector<Candidate> list;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!choice.has(i)) continue;
    const double p = std::exp((static_cast<double>(logits[i]) - high) / o.temperature);
    if (p > 0) list.push_back({static_cast<patch::TokenId>(i), p});
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const auto& a, const auto& b) { return a.probability > b.probability; });
  if (o.top_k > 0 && list.size() > static_cast<std::size_t>(o.top_k))
    list.resize(static_cast<std::size_t>(o.top_k));
  normalise(list);
  if (o.top_p < 1) {
    keep_nucleus(list, o.top_p);
    normalise(list);
  }
  if (o.min_p > 0) {
    const double least = o.min_p * list.front().probability;
    std::erase_if(list, [&](const auto& c) { return c.probability < least; });
    normalise(list);
  }
  return list;
}

patch::TokenId Sampler::pick(const std::vector<Candidate>& list) {
  if (list.size() == 1) return list.front().id;
  double at = uniform();
  for (const auto& c : list) {
    if (at < c.probability) return c.id;
    at -= c.probability;
  }
  return list.back().id;  // rounding: the sum was a little below 1
}

}  // namespace blt::generate
