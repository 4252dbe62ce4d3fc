// SPDX-License-Identifier: MIT
// Speculation on models: greedy text stays, the distribution of sampled text stays.
#include <ATen/ATen.h>
#undef CHECK
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <map>

#include "blt/base/error.h"
#include "blt/generate/generate.h"
#include "blt/model/models.h"

using namespace blt;
using namespace blt::generate;

namespace {

// Rows are few: threads would only wait for each other.
const bool single_threaded = (nn::set_threads(1), true);

model::TransformerConfig shape(std::int64_t dim, std::int64_t layers, std::int64_t heads) {
  return {dim, layers, heads, heads, 2 * dim, 4096, 10000, 1e-5};
}

// Logits of fresh weights are nearly flat: a larger head makes some ids likely, as training does.
void sharpen(at::Tensor head) { head.mul_(40); }

std::shared_ptr<model::ByteLm> make_lm(model::HeadKind kind) {
  auto lm = std::make_shared<model::ByteLm>();
  lm->create({shape(32, 2, 2), {.window = 20}, model::HeadsConfig{4, kind}}, at::kFloat);
  model::initialise(*lm, 5);
  sharpen(lm->head);
  for (auto& head : lm->heads->unembeddings) sharpen(head);
  return lm;
}

std::shared_ptr<model::Blt> make_blt(model::HeadKind kind) {
  model::BltConfig c;
  c.encoder = shape(32, 1, 2);
  c.latent = shape(48, 2, 3);
  c.decoder = shape(32, 2, 2);
  c.hash_rows = 101;
  c.semantics.window = 20;
  c.patcher = model::ByteLmConfig{shape(32, 1, 2), {.window = 6}};
  c.patching.threshold = 5.2;
  c.heads = model::HeadsConfig{4, kind};
  auto blt = std::make_shared<model::Blt>();
  blt->create(c, at::kFloat);
  model::initialise(*blt, 6);
  sharpen(blt->head);
  for (auto& head : blt->heads->unembeddings) sharpen(head);
  return blt;
}

EngineOptions options_for(const std::string& speculate) {
  EngineOptions options;
  options.heads = speculate == "heads" ? UseHeads::yes : speculate == "auto" ? UseHeads::if_any : UseHeads::no;
  return options;
}

Completion generated(Engine& engine, const GenerateConfig& config, std::uint64_t seed, Constraint* constraint = nullptr) {
  NullReporter reporter;
  return Generator(engine, config, reporter, constraint).complete("ab cd", seed, {});
}

template <class Model>
void check_greedy(const std::shared_ptr<Model>& model, const std::vector<std::string>& sources, Constraint* constraint = nullptr) {
  GenerateConfig config;
  config.max_bytes = 2000;
  config.greedy = config.ignore_eos = true;
  const auto plain = generated(*make_engine(model, {}), config, 1, constraint);
  REQUIRE(plain.steps == 2000);
  for (const auto& source : sources) {
    config.speculate = source;
    for (const std::int64_t draft : {2, 7}) {
      INFO(source << " " << draft);
      config.draft = draft;
      const auto fast = generated(*make_engine(model, options_for(source)), config, 1, constraint);
      CHECK((fast.text == plain.text));
      CHECK(fast.patches == plain.patches);
      CHECK(fast.drafts.accepted > 0);
      CHECK(fast.drafts.accepted < fast.drafts.drafted);
      CHECK(fast.drafts.accepted + fast.drafts.passes == 1999);
      // Where drafts are seldom kept, few passes try any.
      if (8 * fast.drafts.accepted < fast.drafts.drafted) CHECK(fast.drafts.drafted < fast.drafts.passes);
    }
  }
}

}  // namespace

TEST_CASE("greedy text is the same with drafts, over thousands of bytes") {
  for (const auto kind : {model::HeadKind::linear, model::HeadKind::layer}) {
    check_greedy(make_lm(kind), {"heads"});
    check_greedy(make_blt(kind), {"heads", "latent"});
  }
  // Five ids seldom come again in these models' texts, unless they are of few letters.
  Constraint letters = regex_constraint("[a-f]*");
  check_greedy(make_lm(model::HeadKind::linear), {"lookup", "auto"}, &letters);
  check_greedy(make_blt(model::HeadKind::layer), {"lookup", "auto"}, &letters);
  const auto without_heads = make_blt(model::HeadKind::linear);
  without_heads->heads.reset();
  without_heads->config.heads.reset();
  check_greedy(without_heads, {"auto"}, &letters);
}

TEST_CASE("sampled text has the model's distribution") {
  // Texts of four of the letters a to d: 256 texts, whose probabilities the exact engine gives. Long enough that heads draft for a
  // stale latent, and its drafts go to the model.
  GenerateConfig config;
  config.max_bytes = 4;
  config.temperature = 25;
  const auto blt = make_blt(model::HeadKind::linear);
  // Patches that end after each byte and weigh heavily: a stale latent is often wrong.
  blt->config.patching.scheme = patch::Scheme::byte;
  for (auto& cross : blt->decoder_cross) cross.wo.mul_(10);
  std::string prompt = "ab cd";
  std::map<std::string, double> expected;
  EngineOptions exact;
  exact.exact = true;
  const auto engine = make_engine(blt, exact);
  const std::function<void(const std::string&, double)> spread = [&](const std::string& text, double probability) {
    if (text.size() == 4) {
      expected[text] = probability;
      return;
    }
    engine->reset();
    const auto logits = engine->prefill(patch::encode(prompt + text, true, false));
    std::map<char, double> weights;
    double sum = 0;
    for (char c = 'a'; c <= 'd'; ++c) {
      weights[c] = std::exp(logits[static_cast<std::size_t>(c) + patch::byte_offset] / config.temperature);
      sum += weights[c];
    }
    for (const auto& [c, weight] : weights) spread(text + c, probability * weight / sum);
  };
  spread("", 1);

  Constraint letters = regex_constraint("[a-d]{4}");
  NullReporter reporter;
  for (const std::string source : {"off", "heads", "latent", "auto", "lookup", "auto"}) {  // at first auto finds nothing to look up
    config.speculate = source;
    if (source == "lookup") {  // whatever letter comes first, five ids stood before
      prompt = "xyzzyabcd xyzzybcda xyzzycdab xyzzydabc xyzzy";
      expected.clear();
      spread("", 1);
    }
    if (source != "off") config.draft = 3;
    const auto drafting = make_engine(blt, options_for(source));
    Generator generator(*drafting, config, reporter, &letters);
    constexpr int samples = 5000;
    std::map<std::string, int> seen;
    DraftCounts counts;
    for (int i = 0; i < samples; ++i) {
      const auto completion = generator.complete(prompt, 90000 + static_cast<std::uint64_t>(i), {});
      ++seen[completion.text];
      counts.drafted += completion.drafts.drafted;
      counts.accepted += completion.drafts.accepted;
    }
    double chi_square = 0, tail = 0;
    int cells = 0, tail_seen = 0;
    const auto cell = [&](int observed, double probability) {
      const double e = probability * samples;
      chi_square += (observed - e) * (observed - e) / e;
      ++cells;
    };
    for (const auto& [text, probability] : expected) {
      if (probability * samples >= 5) {
        cell(seen[text], probability);
      } else {
        tail += probability;
        tail_seen += seen[text];
      }
    }
    if (tail * samples >= 5) cell(tail_seen, tail);
    INFO(source << ": chi-square " << chi_square << " of " << cells << " cells, " << counts.accepted << " of "
                << counts.drafted << " drafts accepted");
    REQUIRE(cells >= 20);
    // The 99.9th percentile of chi-square (Wilson and Hilferty 1931).
    const double df = cells - 1, z = 3.09;
    CHECK(chi_square < df * std::pow(1 - 2 / (9 * df) + z * std::sqrt(2 / (9 * df)), 3));
    if (source == "off") continue;
    const int least = samples / (source == "lookup" || source == "auto" ? 5 : 4);
    CHECK(counts.accepted > least);
    CHECK(counts.drafted - counts.accepted > least);
  }
}

TEST_CASE("drafts that an engine cannot make are refused") {
  const auto lm = make_lm(model::HeadKind::linear);
  const auto engine = make_engine(lm, {});
  engine->prefill(patch::encode("ab", true, false));
  CHECK_THROWS_AS(engine->future(2), Error);
  CHECK_THROWS_AS(engine->guess(std::vector<patch::TokenId>{99}), Error);
  lm->heads.reset();
  lm->config.heads.reset();
  CHECK_THROWS_AS(make_engine(lm, options_for("heads")), Error);
}

TEST_CASE("drafts that cannot be verified are refused") {
  const auto blt = make_blt(model::HeadKind::linear);
  blt->config.semantics.open_end = true;
  blt->config.patching.max_patch_length = 4;
  const auto engine = make_engine(blt, {});
  GenerateConfig config;
  config.max_bytes = 20;
  config.greedy = config.ignore_eos = true;
  const auto plain = generated(*engine, config, 1);
  for (const std::string source : {"lookup", "heads", "latent"}) {
    config.speculate = source;
    CHECK_THROWS_AS(generated(*engine, config, 1), Error);
  }
  config.speculate = "auto";
  const auto any = generated(*engine, config, 1);
  CHECK((any.text == plain.text));
  CHECK(any.drafts.drafted == 0);
}
