// SPDX-License-Identifier: MIT
// The exact engine against one full forward, and the cached engine against the exact one, for every
// prefix.
#include <functional>

#include "blt/base/error.h"
#include "engine_cases.h"
#include "kernel_table.h"

using namespace blt;
using namespace blt::generate;
using namespace engine_cases;
using patch::TokenId;

namespace {

struct Variant {
  const char* name;
  std::function<void(model::BltConfig&)> change;
};

const Variant variants[] = {
    {"entropy", [](auto&) {}},
    {"no window", [](auto& c) { c.semantics.window = c.patcher->semantics.window = 0; }},
    {"no blocks",
     [](auto& c) { c.semantics.eos_blocks = c.patcher->semantics.eos_blocks = false; }},
    {"a window of one", [](auto& c) { c.semantics.window = 1; }},
    {"longest patch 3", [](auto& c) { c.patching.max_patch_length = 3; }},
    {"longest patch 1", [](auto& c) { c.patching.max_patch_length = 1; }},
    {"encoder cross-attention everywhere", [](auto& c) { c.cross_all_encoder_layers = true; }},
    {"and pooled anew", [](auto& c) { c.cross_all_encoder_layers = c.semantics.repool = true; }},
    {"decoder cross-attention first", [](auto& c) { c.cross_all_decoder_layers = false; }},
    {"k = 1", [](auto& c) { c.cross_k = 1; }},
    {"k = 3, no projection", [](auto& c) { c.cross_k = 3, c.latent = shape(96, 2, 4, 4, 500000); }},
    {"grouped heads",
     [](auto& c) {
       c.encoder.kv_heads = c.decoder.kv_heads = c.patcher->transformer.kv_heads = 1,
       c.latent.kv_heads = 2;
     }},
    {"three hash functions", [](auto& c) { c.hash_functions = 3; }},
    {"no hashes", [](auto& c) { c.hash_group_sizes.clear(); }},
    {"monotonic",
     [](auto& c) { c.patching.scheme = patch::Scheme::monotonic, c.patching.threshold = 0.01; }},
    {"combined",
     [](auto& c) {
       c.patching.scheme = patch::Scheme::combined, c.patching.threshold = 4.9,
       c.patching.threshold_add = 0.01;
     }},
    {"newlines reset", [](auto& c) { c.patching.newline_reset = true; }},
    {"space", [](auto& c) { c.patching.scheme = patch::Scheme::space, c.patcher.reset(); }},
    {"strided",
     [](auto& c) {
       c.patching.scheme = patch::Scheme::strided, c.patching.patch_size = 3, c.patcher.reset();
     }},
    {"byte", [](auto& c) { c.patching.scheme = patch::Scheme::byte, c.patcher.reset(); }},
    {"delimiter", [](auto& c) { c.patching.scheme = patch::Scheme::delimiter, c.patcher.reset(); }},
};

}  // namespace

TEST_CASE("the exact engine's logits of each prefix are the rows of one full forward") {
  const auto ids = sample_text(60, 1);
  const auto blt = make_blt(small_config(), ids);
  const auto engine = make_engine(blt, exact());
  std::vector<std::vector<float>> steps;
  for (const auto id : ids) steps.push_back(copy(engine->step(id)));

  patch::Rules rules = blt->config.patching;
  rules.include_next_token = true;
  const auto lengths = patch::cut(ids, full_entropies(*blt->patcher, ids), rules);
  CHECK(lengths.size() > 10);
  CHECK(*std::max_element(lengths.begin(), lengths.end()) > 2);
  const at::NoGradGuard no_gradients;
  const model::Segment segment{ids, lengths};
  const auto batch =
      model::make_batch({&segment, 1}, blt->config.semantics, blt->config.cross_k, at::kCPU);
  const auto rows = logits_rows(blt->forward(batch, {}));
  for (std::size_t p = 0; p < ids.size(); ++p) {
    INFO("prefix " << p + 1);
    CHECK(difference(steps[p], std::span(rows).subspan(p * 260, 260)) < bound);
  }
}

TEST_CASE("the exact byte LM's logits of each prefix are the rows of one full forward") {
  const auto ids = sample_text(40, 2);
  auto lm = std::make_shared<model::ByteLm>();
  lm->create(*small_config().patcher, at::kFloat);
  model::initialise(*lm, 5);
  const at::NoGradGuard no_gradients;
  const model::Segment segment{ids, {}};
  const auto rows = logits_rows(
      lm->forward(model::make_batch({&segment, 1}, lm->config.semantics, at::kCPU), {}));
  for (const bool is_exact : {true, false}) {
    const auto engine = make_engine(lm, is_exact ? exact() : cached(5, 3));
    for (std::size_t p = 0; p < ids.size(); ++p) {
      INFO("exact " << is_exact << ", prefix " << p + 1);
      CHECK(difference(engine->step(ids[p]), std::span(rows).subspan(p * 260, 260)) < bound);
    }
    CHECK(engine->patch_starts().empty());
    CHECK(engine->facts().kind == "byte_lm");
  }
}

TEST_CASE("the cached engine equals the exact one at every prefix") {
  const auto ids = sample_text(70, 7);
  for (const auto& variant : variants) {
    INFO(variant.name);
    auto config = small_config();
    variant.change(config);
    const auto blt = make_blt(config, ids);
    const auto slow = make_engine(blt, exact()), fast = make_engine(blt, cached(5, 4)),
               whole = make_engine(blt, cached(64, 4));
    std::vector<float> last, all;
    for (std::size_t p = 0; p < ids.size(); ++p) {
      INFO("prefix " << p + 1);
      last = copy(slow->step(ids[p]));
      all.insert(all.end(), last.begin(), last.end());
      REQUIRE(difference(last, fast->step(ids[p])) < bound);
      REQUIRE(slow->patch_starts() == fast->patch_starts());
    }
    // A prompt in pieces of other sizes.
    CHECK(difference(last, whole->prefill(ids)) < bound);
    CHECK(whole->patch_starts() == slow->patch_starts());
    const auto odd = make_engine(blt, cached(7, 4));
    CHECK(difference(last, odd->prefill(ids)) < bound);
    for (Engine* engine : {odd.get(), slow.get()}) {
      engine->reset();
      CHECK(difference(all, engine->extend(ids)) < bound);
    }
  }
}

TEST_CASE("logits depend on what the caches hold") {
  // If these did not differ, the comparisons above would show nothing.
  const auto ids = sample_text(70, 7);
  const auto blt = make_blt(small_config(), ids);
  auto other = ids;
  other[60] = other[60] == 'X' + 4 ? 'a' + 4 : 'X' + 4;
  const auto a = make_engine(blt, {}), b = make_engine(blt, {});
  CHECK(difference(copy(a->prefill(ids)), b->prefill(other)) > 100 * bound);
}

TEST_CASE("rollback returns to an earlier text") {
  const auto ids = sample_text(70, 11);
  for (const auto& variant : variants) {
    INFO(variant.name);
    auto config = small_config();
    variant.change(config);
    const auto blt = make_blt(config, ids);
    const auto slow = make_engine(blt, exact()), fast = make_engine(blt, cached(16, 6));
    Random random(5);
    std::vector<TokenId> text;
    for (int round = 0; round < 25; ++round) {
      // Mostly within the slack, at times far beyond it, at times to the very beginning.
      const std::uint64_t most =
          round % 8 == 7 ? text.size() : std::min<std::uint64_t>(text.size(), 6);
      const std::size_t back = round % 12 == 11 ? text.size() : random.below(most + 1);
      text.resize(text.size() - back);
      slow->rollback(static_cast<std::int64_t>(back));
      fast->rollback(static_cast<std::int64_t>(back));
      REQUIRE(fast->position() == static_cast<std::int64_t>(text.size()));
      const std::size_t at = random.below(50);
      std::vector<TokenId> more(
          ids.begin() + static_cast<std::ptrdiff_t>(at),
          ids.begin() + static_cast<std::ptrdiff_t>(at + 1 + random.below(12)));
      if (text.empty()) more.insert(more.begin(), patch::bos_id);
      text.insert(text.end(), more.begin(), more.end());
      INFO("round " << round << ", " << back << " back, " << text.size() << " ids");
      const auto expected = copy(slow->prefill(more));
      REQUIRE(difference(expected, fast->prefill(more)) < bound);
      REQUIRE(slow->patch_starts() == fast->patch_starts());
    }
  }
}

TEST_CASE("a byte LM's caches roll back too") {
  const auto ids = sample_text(70, 13);
  auto lm = std::make_shared<model::ByteLm>();
  lm->create(*small_config().patcher, at::kFloat);
  model::initialise(*lm, 5);
  const auto slow = make_engine(lm, exact()), fast = make_engine(lm, cached(8, 4));
  slow->prefill(ids);
  fast->prefill(ids);
  for (const std::int64_t back : {1, 4, 3, 20, 35}) {
    slow->rollback(back);
    fast->rollback(back);
    CHECK(difference(copy(slow->step(99)), fast->step(99)) < bound);
  }
  fast->reset();
  slow->reset();
  CHECK(difference(copy(slow->step(1)), fast->step(1)) < bound);
  CHECK_THROWS_AS(fast->rollback(2), Error);
}

TEST_CASE("ids that come together have the bits that they have one by one, whatever patches close") {
  const auto ids = sample_text(200, 19);
  for (const std::int64_t patch_size : {1, 3, 20, 40}) {
    for (const auto weights : {Weights::float32, Weights::bfloat16, Weights::int8}) {
      INFO("patches of " << patch_size << ", weights " << static_cast<int>(weights));
      auto config = small_config();
      config.patching.scheme = patch::Scheme::strided;
      config.patching.patch_size = static_cast<double>(patch_size);
      config.latent = shape(48, 2, 3, 3, 500000);  // heads of 16: kernels promise it of whole vectors
      auto options = cached(64, 256);
      options.weights = options.entropy_weights = weights;
      const auto steps = make_engine(make_blt(config, ids), options), pieces = make_engine(make_blt(config, ids), options);
      steps->prefill(std::span(ids).first(40));
      pieces->prefill(std::span(ids).first(40));
      for (std::size_t at = 40; at + 32 <= ids.size(); at += 32) {
        const auto together = copy(pieces->extend(std::span(ids).subspan(at, 32)));
        std::vector<float> alone;
        for (std::size_t i = 0; i < 32; ++i) {
          const auto row = steps->step(ids[at + i]);
          alone.insert(alone.end(), row.begin(), row.end());
        }
        CHECK(difference(together, alone) == 0);
      }
    }
  }
}

TEST_CASE("guesses together are guesses one by one, and leave no trace") {
  const auto ids = sample_text(120, 23);
  for (const auto kind : {model::HeadKind::linear, model::HeadKind::layer}) {
    auto config = small_config();
    config.latent = shape(48, 2, 3, 3, 500000);  // heads of 16, as above
    config.heads = model::HeadsConfig{3, kind};
    auto options = cached(64, 64);
    options.heads = UseHeads::yes;
    const auto steps = make_engine(make_blt(config, ids), options), guesses = make_engine(make_blt(config, ids), options);
    for (auto* engine : {steps.get(), guesses.get()}) engine->prefill(std::span(ids).first(60));
    for (std::size_t at = 60; at + 9 <= ids.size(); ++at) {
      const auto together = copy(guesses->guess(std::span(ids).subspan(at, 6)));
      const auto ahead = copy(guesses->future(3));
      guesses->rollback(2);
      CHECK(difference(copy(guesses->guess({&ids[at + 4], 1})), std::span(together).subspan(4 * 260, 260)) == 0);
      guesses->rollback(5);
      std::vector<float> alone;
      for (std::size_t i = 0; i < 6; ++i) {
        const auto row = guesses->guess({&ids[at + i], 1});
        alone.insert(alone.end(), row.begin(), row.end());
      }
      CHECK(difference(together, alone) == 0);
      CHECK(difference(ahead, guesses->future(3)) == 0);
      guesses->rollback(6);
      CHECK(guesses->position() == static_cast<std::int64_t>(at));
      CHECK(difference(copy(steps->step(ids[at])), guesses->step(ids[at])) == 0);
      CHECK(difference(copy(steps->future(2)), guesses->future(2)) == 0);
      CHECK(steps->patch_starts() == guesses->patch_starts());
    }
  }
}

TEST_CASE("models that cannot patch a growing text are refused") {
  const auto ids = sample_text(30, 1);
  auto topk = small_config();
  topk.patching.scheme = patch::Scheme::topk;
  CHECK_THROWS_AS(make_engine(make_blt(topk, ids), {}), Error);
  CHECK_THROWS_AS(make_engine(make_blt(topk, ids), exact()), Error);
  auto without = small_config();
  without.patcher.reset();
  CHECK_THROWS_AS(make_engine(make_blt(without, ids), {}), Error);
  const auto engine = make_engine(make_blt(small_config(), ids), {});
  CHECK_THROWS_AS(engine->step(260), Error);
  CHECK_THROWS_AS(engine->prefill({}), Error);
}

namespace {

// CUDA graphs on the CPU: the calls of a list, with the parameters that they had.
struct Graph {
  void (*run)(const void*);
  const void* context;
};
int graphs = 0, replays = 0;
const nn::Recorder recorder = {[](void (*run)(const void*), const void* context) -> void* {
                                 ++graphs;
                                 return new Graph{run, context};
                               },
                               [](void* graph) {
                                 ++replays;
                                 static_cast<Graph*>(graph)->run(static_cast<Graph*>(graph)->context);
                               },
                               [](void* graph) {
                                 --graphs;
                                 delete static_cast<Graph*>(graph);
                               }};

}  // namespace

TEST_CASE("steps that are launched as recorded lists of calls give the same bits") {
  const auto ids = sample_text(150, 8);
  for (const auto& variant : variants) {
    INFO(variant.name);
    auto config = small_config();
    variant.change(config);
    const auto blt = make_blt(config, ids);
    const auto direct = make_engine(blt, cached(16, 64));
    nn::set_recorder(at::kCPU, &recorder);
    auto recorded = make_engine(blt, cached(16, 64));
    nn::set_recorder(at::kCPU, nullptr);
    replays = 0;
    const auto both = [&](auto&& call) { CHECK(copy(call(*recorded)) == copy(call(*direct))); };
    both([&](Engine& engine) { return engine.extend(std::span(ids).first(40)); });
    for (std::size_t p = 40; p < 140; ++p) {
      both([&](Engine& engine) { return engine.step(ids[p]); });
      if (p % 3 > 0) continue;
      both([&](Engine& engine) { return engine.guess({&ids[p + 1], 1}); });
      both([&](Engine& engine) { return engine.guess(std::span(ids).subspan(p + 2, 2)); });
      for (auto* engine : {recorded.get(), direct.get()}) engine->rollback(1);
      both([&](Engine& engine) { return engine.guess({&ids[p + 4], 1}); });
      for (auto* engine : {recorded.get(), direct.get()}) engine->rollback(3);
      both([&](Engine& engine) { return engine.extend(std::span(ids).subspan(p + 1, 4)); });
      for (auto* engine : {recorded.get(), direct.get()}) engine->rollback(4);
    }
    CHECK(replays > 150);
    CHECK(graphs > 0);
    recorded.reset();
    CHECK(graphs == 0);
  }
}
