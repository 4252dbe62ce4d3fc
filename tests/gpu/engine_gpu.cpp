// SPDX-License-Identifier: MIT
// Decoding on a GPU against its twin on the CPU: logits of prompts, steps, guesses and drafts; the second time that a step has
// a shape it is a recorded graph, so that the texts below are graphs for the most part.
#include <ATen/core/grad_mode.h>
#undef CHECK
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <thread>

#include "blt/generate/engine.h"
#include "blt/model/inference.h"
#include "blt/model/models.h"
#include "gpu/gpu.h"

using namespace blt;
using namespace blt::generate;
using patch::TokenId;

namespace {

model::TransformerConfig shape(std::int64_t dim, std::int64_t layers, std::int64_t heads, std::int64_t kv_heads) {
  return {dim, layers, heads, kv_heads, 2 * dim, 1024, 10000, 1e-5};
}

model::BltConfig config() {
  model::BltConfig c;
  c.encoder = shape(128, 2, 2, 2);
  c.latent = shape(192, 3, 3, 1);
  c.decoder = shape(128, 3, 2, 2);
  c.hash_rows = 1009;
  c.semantics.window = 40;
  c.patching.threshold = 5.3;
  c.patcher = model::ByteLmConfig{shape(128, 2, 2, 2), {}};
  c.patcher->semantics.window = 24;
  return c;
}

// The same weights on any device.
std::shared_ptr<model::Blt> make_blt(const model::BltConfig& config, at::Device device) {
  auto blt = std::make_shared<model::Blt>();
  blt->create(config, at::TensorOptions(at::kFloat).device(device));
  model::initialise(*blt, 3);
  return blt;
}

std::vector<TokenId> sample_text(std::size_t size) {
  std::vector<TokenId> ids(size);
  std::uint32_t state = 1;
  for (auto& id : ids) id = static_cast<TokenId>((state = state * 1664525u + 1013904223u) >> 24);
  for (auto& id : ids) id = static_cast<TokenId>(patch::byte_offset + id % 250);
  ids[0] = patch::bos_id;
  ids[size / 2] = patch::eos_id;
  return ids;
}

std::vector<float> copy(std::span<const float> x) { return {x.begin(), x.end()}; }

double difference(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

void check_pair(Engine& ours, Engine& twin, double bound) {
  const auto ids = sample_text(300);
  const auto both = [&](auto&& call) { CHECK(difference(call(ours), call(twin)) < bound); };
  both([&](Engine& engine) { return engine.extend(std::span(ids).first(100)); });
  for (std::size_t p = 100; p < 280; ++p) {
    INFO("id " << p);
    both([&](Engine& engine) { return engine.step(ids[p]); });
    REQUIRE(ours.patch_starts() == twin.patch_starts());
    if (p % 5 > 0) continue;
    both([&](Engine& engine) { return engine.guess(std::span(ids).subspan(p + 1, 3)); });
    for (auto* engine : {&ours, &twin}) engine->rollback(1);
    for (std::size_t draft = p + 3; draft < p + 5; ++draft) both([&](Engine& engine) { return engine.guess({&ids[draft], 1}); });
    for (auto* engine : {&ours, &twin}) engine->rollback(4);
    both([&](Engine& engine) { return engine.extend(std::span(ids).subspan(p + 1, 5)); });
    for (auto* engine : {&ours, &twin}) engine->rollback(5);
  }
}

}  // namespace

TEST_CASE("a GPU's logits are those of the CPU") {
  const auto device = gpu();
  if (!device) return;
  struct Variant {
    const char* name;
    void (*change)(model::BltConfig&);
  };
  const Variant variants[] = {
      {"entropy", [](auto&) {}},
      {"no window", [](auto& c) { c.semantics.window = 0; }},
      {"cross-attention everywhere", [](auto& c) { c.cross_all_encoder_layers = c.semantics.repool = true; }},
      {"strided", [](auto& c) { c.patching.scheme = patch::Scheme::strided, c.patching.patch_size = 4, c.patcher.reset(); }}};
  for (const auto& variant : variants) {
    INFO(variant.name);
    auto c = config();
    variant.change(c);
    const auto ours = make_engine(make_blt(c, *device), {}), twin = make_engine(make_blt(c, at::kCPU), {});
    check_pair(*ours, *twin, 2e-3);
  }
}

TEST_CASE("bfloat16 on a GPU stays near float32 on the CPU") {
  const auto device = gpu();
  if (!device) return;
  auto c = config();
  c.patching.scheme = patch::Scheme::strided;  // boundaries that rounding does not move
  c.patching.patch_size = 4;
  c.patcher.reset();
  EngineOptions options;
  options.weights = Weights::bfloat16;
  const auto ours = make_engine(make_blt(c, *device), options), twin = make_engine(make_blt(c, at::kCPU), {});
  check_pair(*ours, *twin, 0.15);
}

TEST_CASE("a bfloat16 entropy model on a GPU gives the CPU's boundaries") {
  const auto device = gpu();
  if (!device) return;
  EngineOptions options;
  options.entropy_weights = Weights::bfloat16;
  const auto ours = make_engine(make_blt(config(), *device), options), twin = make_engine(make_blt(config(), at::kCPU), options);
  check_pair(*ours, *twin, 2e-3);
}

TEST_CASE("a GPU's steps after rollback are the same bits") {
  const auto device = gpu();
  if (!device) return;
  const auto engine = make_engine(make_blt(config(), *device), {});
  const auto ids = sample_text(200);
  engine->prefill(std::span(ids).first(60));
  std::vector<std::vector<float>> first;
  for (int pass = 0; pass < 3; ++pass) {
    for (std::size_t p = 60; p < 160; ++p) {
      const auto logits = copy(engine->step(ids[p]));
      if (pass == 0) first.push_back(logits);
      CHECK(logits == first[p - 60]);
    }
    engine->rollback(100);
  }
}

TEST_CASE("a GPU's entropies of many batches are the CPU's, whatever thread asks") {
  const auto device = gpu();
  if (!device) return;
  const auto lm = [&](at::Device on) {
    auto out = std::make_unique<model::ByteLm>();
    out->create(*config().patcher, at::TensorOptions(at::kFloat).device(on));
    model::initialise(*out, 3);
    return out;
  };
  const auto ours = model::make_entropy_source(lm(*device), "float32", *device);
  const auto twin = model::make_entropy_source(lm(at::kCPU), "float32", at::kCPU);
  CHECK(ours->batch_bytes() > twin->batch_bytes());
  std::vector<std::vector<TokenId>> documents;
  for (std::uint64_t size = 0; size < ours->batch_bytes(); size += documents.back().size())
    documents.push_back(sample_text(documents.size() % 16 ? 2 + documents.size() % 700 : 40000));
  std::vector<std::vector<float>> found;
  std::thread([&] { found = ours->entropies(documents); }).join();
  const auto expected = twin->entropies(documents);
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(difference(found[i], expected[i]) < 1e-3);
}
