// SPDX-License-Identifier: MIT
#include "blt/generate/score.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "blt/base/error.h"
#include "blt/generate/sampler.h"

namespace blt::generate {
namespace {

constexpr std::size_t piece_bytes = 4096;  // of a text: 4 MB of logits

double log_probability(std::span<const float> logits, patch::TokenId id) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - most);
  return logits[id] - most - std::log(sum);
}

// logits: at least targets.size() rows; row i is of targets[i].
void add(Likelihood& out, std::span<const float> logits, std::span<const patch::TokenId> targets) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto row = logits.subspan(i * patch::vocab_size, patch::vocab_size);
    out.nats += log_probability(row, targets[i]);
    out.greedy = out.greedy && best(row, true) == targets[i];
    out.bytes += targets[i] >= patch::byte_offset;
  }
}

}  // namespace

double Likelihood::per_byte() const {
  return bytes == 0 ? 0 : nats / static_cast<double>(bytes);
}
double Likelihood::bits_per_byte() const {
  return -per_byte() / std::numbers::ln2;
}

Likelihood score_text(Engine& engine, std::string_view text, bool eos, const GoOn& go_on) {
  engine.reset();
  const auto ids = patch::encode(text, true, eos);
  const std::span<const patch::TokenId> all = ids;
  Likelihood out;
  for (std::size_t at = 0; at < all.size(); at += piece_bytes) {
    const auto piece = all.subspan(at, std::min(piece_bytes, all.size() - at));
    const auto logits = engine.extend(piece);
    add(out, logits, all.subspan(at + 1, std::min(piece.size(), all.size() - at - 1)));
    if (!go_on()) break;
  }
  return out;
}

std::vector<Likelihood> score_after(Engine& engine, std::string_view prefix,
                                    std::span<const std::string> texts, bool eos,
                                    const GoOn& go_on) {
  engine.reset();
  auto given = patch::encode(prefix, true, false);
  // The prefix's last id goes with each text: its logits are of the text's first byte.
  const patch::TokenId last = given.back();
  given.pop_back();
  if (!given.empty()) engine.prefill(given);
  std::vector<Likelihood> out(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty()) throw usage_error("an empty text has no score");
    auto ids = patch::encode(texts[i], true, eos);
    ids[0] = last;
    add(out[i], engine.extend(ids), std::span(ids).subspan(1));
    if (!go_on()) break;
    engine.rollback(static_cast<std::int64_t>(ids.size()));
  }
  return out;
}

std::size_t best_choice(std::span<const Likelihood> choices, bool per_byte) {
  const auto value = [&](const Likelihood& x) { return per_byte ? x.per_byte() : x.nats; };
  const auto less = [&](const Likelihood& a, const Likelihood& b) { return value(a) < value(b); };
  return static_cast<std::size_t>(std::max_element(choices.begin(), choices.end(), less) -
                                  choices.begin());
}

}  // namespace blt::generate
