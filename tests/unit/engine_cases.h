// SPDX-License-Identifier: MIT
// Small models, texts and comparisons for tests of engines.
#pragma once

#include <ATen/core/grad_mode.h>
#undef CHECK
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "blt/base/random.h"
#include "blt/generate/engine.h"
#include "blt/model/batch.h"
#include "blt/model/models.h"

namespace engine_cases {

using namespace blt;
using namespace blt::generate;
using patch::TokenId;

inline constexpr double bound = 1e-4;

inline model::TransformerConfig shape(std::int64_t dim, std::int64_t layers, std::int64_t heads,
                               std::int64_t kv_heads, double theta) {
  model::TransformerConfig c;
  c.dim = dim;
  c.layers = layers;
  c.heads = heads;
  c.kv_heads = kv_heads;
  c.ffn_dim = 2 * dim;
  c.max_positions = 512;
  c.rope_theta = theta;
  return c;
}

// Small windows, so that they matter in short texts.
inline model::BltConfig small_config() {
  model::BltConfig c;
  c.encoder = shape(32, 2, 2, 2, 500000);
  c.latent = shape(48, 2, 4, 4, 500000);
  c.decoder = shape(32, 2, 2, 2, 500000);
  c.hash_group_sizes = {3, 5, 8};
  c.hash_rows = 1009;
  c.semantics.window = 8;
  c.patcher = model::ByteLmConfig{shape(32, 2, 2, 2, 10000), {}};
  c.patcher->semantics.window = 6;
  return c;
}

// Bytes with newlines and spaces, an EOS and a new BOS inside, a delimiter id.
inline std::vector<TokenId> sample_text(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  const char* bytes = "ab\n Xyz,\xC3\xA9 12";
  std::vector<TokenId> ids(size);
  for (auto& id : ids)
    id = static_cast<TokenId>(static_cast<unsigned char>(bytes[random.below(13)]) +
                              patch::byte_offset);
  ids[0] = patch::bos_id;
  ids[size / 4] = patch::delimiter_id;
  ids[size / 2] = patch::eos_id;
  ids[size / 2 + 1] = patch::bos_id;
  return ids;
}

inline std::vector<float> logits_rows(const at::Tensor& logits) {
  const at::Tensor host = logits.to(at::kFloat).contiguous();
  return {host.data_ptr<float>(), host.data_ptr<float>() + host.numel()};
}

inline std::vector<float> full_entropies(model::ByteLm& lm, std::span<const TokenId> ids) {
  const at::NoGradGuard no_gradients;
  const model::Segment segment{ids, {}};
  return logits_rows(
      nn::entropy(lm.forward(model::make_batch({&segment, 1}, lm.config.semantics, at::kCPU), {})));
}

// A threshold in the widest gap of the middle half of the values, so that rounding decides no
// boundary.
inline double threshold_for(std::vector<float> values) {
  std::sort(values.begin(), values.end());
  std::size_t at = values.size() / 4;
  for (std::size_t i = at; i < values.size() * 3 / 4; ++i) {
    if (values[i + 1] - values[i] > values[at + 1] - values[at]) at = i;
  }
  REQUIRE(values[at + 1] - values[at] > 1e-4);
  return (values[at] + values[at + 1]) / 2;
}

inline std::shared_ptr<model::Blt> make_blt(const model::BltConfig& config, std::span<const TokenId> ids,
                                     std::uint64_t seed = 3) {
  auto blt = std::make_shared<model::Blt>();
  blt->create(config, at::kFloat);
  model::initialise(*blt, seed);
  if (blt->patcher && config.patching.scheme == patch::Scheme::entropy) {
    blt->config.patching.threshold = threshold_for(full_entropies(*blt->patcher, ids));
  }
  return blt;
}

inline double difference(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

inline std::vector<float> copy(std::span<const float> x) {
  return {x.begin(), x.end()};
}

inline EngineOptions exact() {
  EngineOptions options;
  options.exact = true;
  return options;
}
inline EngineOptions cached(std::int64_t chunk, std::int64_t slack) {
  EngineOptions options;
  options.chunk = chunk;
  options.slack = slack;
  return options;
}

// Rows are few: threads would only wait for each other.
inline const bool single_threaded = (nn::set_threads(1), true);

}  // namespace engine_cases
