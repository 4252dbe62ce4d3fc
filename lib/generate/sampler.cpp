// SPDX-License-Identifier: MIT
#include "blt/generate/sampler.h"

#include <algorithm>
#include <cmath>

#include "blt/base/error.h"

namespace blt::generate {
namespace {

bool allowed(std::size_t id, bool eos) {
  return id >= patch::byte_offset || (eos && id == patch::eos_id);
}

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

patch::TokenId best(std::span<const float> logits, bool eos) {
  check_logits(logits);
  std::size_t id = patch::byte_offset;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (allowed(i, eos) && (logits[i] > logits[id] || (logits[i] == logits[id] && i < id))) id = i;
  }
  return static_cast<patch::TokenId>(id);
}

std::vector<Candidate> candidates(std::span<const float> logits, const SamplerOptions& o) {
  const patch::TokenId top = best(logits, o.eos);
  if (o.temperature == 0) return {{top, 1.0}};
  const double high = logits[top];
  if (high == -INFINITY)
    throw input_error("the model gives no byte a probability: its weights are damaged");
  std::vector<Candidate> list;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!allowed(i, o.eos)) continue;
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

patch::TokenId Sampler::next(std::span<const float> logits) {
  if (options_.temperature == 0) return best(logits, options_.eos);
  const auto list = candidates(logits, options_);
  double at = random_.uniform();
  for (const auto& c : list) {
    if (at < c.probability) return c.id;
    at -= c.probability;
  }
  return list.back().id;  // rounding: the sum was a little below 1
}

}  // namespace blt::generate
