// SPDX-License-Identifier: MIT
// The exact engine against one full forward, and the cached engine against the exact one, for every
// prefix.
#include <ATen/core/grad_mode.h>
#undef CHECK
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <functional>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/memory.h"
#include "blt/base/random.h"
#include "blt/config/model_options.h"
#include "blt/generate/engine.h"
#include "blt/model/batch.h"
#include "blt/model/checkpoint.h"
#include "blt/model/models.h"
#include "kernel_table.h"

using namespace blt;
using namespace blt::generate;
using patch::TokenId;

namespace {

constexpr double bound = 1e-4;

model::TransformerConfig shape(std::int64_t dim, std::int64_t layers, std::int64_t heads,
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
model::BltConfig small_config() {
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
std::vector<TokenId> sample_text(std::size_t size, std::uint64_t seed) {
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

std::vector<float> logits_rows(const at::Tensor& logits) {
  const at::Tensor host = logits.to(at::kFloat).contiguous();
  return {host.data_ptr<float>(), host.data_ptr<float>() + host.numel()};
}

std::vector<float> full_entropies(model::ByteLm& lm, std::span<const TokenId> ids) {
  const at::NoGradGuard no_gradients;
  const model::Segment segment{ids, {}};
  return logits_rows(
      nn::entropy(lm.forward(model::make_batch({&segment, 1}, lm.config.semantics, at::kCPU), {})));
}

// A threshold in the widest gap of the middle half of the values, so that rounding decides no
// boundary.
double threshold_for(std::vector<float> values) {
  std::sort(values.begin(), values.end());
  std::size_t at = values.size() / 4;
  for (std::size_t i = at; i < values.size() * 3 / 4; ++i) {
    if (values[i + 1] - values[i] > values[at + 1] - values[at]) at = i;
  }
  REQUIRE(values[at + 1] - values[at] > 1e-4);
  return (values[at] + values[at + 1]) / 2;
}

std::shared_ptr<model::Blt> make_blt(const model::BltConfig& config, std::span<const TokenId> ids,
                                     std::uint64_t seed = 3) {
  auto blt = std::make_shared<model::Blt>();
  blt->create(config, at::kFloat);
  model::initialise(*blt, seed);
  if (blt->patcher && config.patching.scheme == patch::Scheme::entropy) {
    blt->config.patching.threshold = threshold_for(full_entropies(*blt->patcher, ids));
  }
  return blt;
}

double difference(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

std::vector<float> copy(std::span<const float> x) {
  return {x.begin(), x.end()};
}

EngineOptions exact() {
  EngineOptions options;
  options.exact = true;
  return options;
}
EngineOptions cached(std::int64_t chunk, std::int64_t slack) {
  EngineOptions options;
  options.chunk = chunk;
  options.slack = slack;
  return options;
}

// Rows are few: threads would only wait for each other.
const bool single_threaded = (nn::set_threads(1), true);

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

TEST_CASE("narrow weights leave the boundaries alone") {
  const auto ids = sample_text(50, 17);
  for (const auto weights : {Weights::bfloat16, Weights::int8}) {
    const auto slow = make_engine(make_blt(small_config(), ids), exact());
    auto options = cached(64, 8);
    options.weights = weights;
    const auto narrow = make_engine(make_blt(small_config(), ids), options);
    const double off = difference(copy(slow->prefill(ids)), narrow->prefill(ids));
    CHECK(off > 0);
    CHECK(off < 0.2);
    CHECK(slow->patch_starts() == narrow->patch_starts());
    // One byte after the other, through the kernel for a few rows.
    slow->reset();
    narrow->reset();
    const auto expected = copy(slow->prefill(ids));
    std::vector<float> last;
    for (const auto id : ids) last = copy(narrow->step(id));
    CHECK(difference(expected, last) < 0.2);
    CHECK(slow->patch_starts() == narrow->patch_starts());
  }
}

// Thresholds between neighbours, hardly further apart than sums in another order are: rounded activations would move boundaries.
std::vector<double> narrow_thresholds(std::vector<float> values) {
  std::sort(values.begin(), values.end());
  std::vector<std::pair<double, double>> gaps;  // and the middle
  for (std::size_t i = 0; i + 1 < values.size(); ++i) {
    const double gap = static_cast<double>(values[i + 1]) - static_cast<double>(values[i]);
    if (gap > 2e-5) gaps.emplace_back(gap, static_cast<double>(values[i]) + gap / 2);
  }
  std::sort(gaps.begin(), gaps.end());
  std::vector<double> out;
  for (std::size_t i = 0; i < 8; ++i) out.push_back(gaps.at(i).second);
  return out;
}

TEST_CASE("a narrow entropy model keeps float32 activations, however a text comes in pieces") {
  const auto ids = sample_text(150, 17);
  for (const auto weights : {Weights::bfloat16, Weights::int8}) {
    auto rounded = make_blt(small_config(), ids);
    rounded->patcher->visit("", [&](const std::string& name, at::Tensor& w) {
      if (w.dim() == 2 && name != "embed_tokens.weight")
        w = nn::in_float(nn::narrow(w, weights == Weights::int8 ? at::kChar : at::kShort));
    });
    const auto thresholds = narrow_thresholds(full_entropies(*rounded->patcher, ids));
    for (const double threshold : thresholds) {
      const auto engine = [&](EngineOptions options) {
        auto blt = make_blt(small_config(), ids);
        blt->config.patching.threshold = threshold;
        options.entropy_weights = weights;
        return make_engine(blt, options);
      };
      const auto slow = engine(exact()), whole = engine(cached(64, 256)), steps = engine(cached(64, 256));
      const auto expected = copy(slow->prefill(ids));
      CHECK(difference(expected, whole->prefill(ids)) < bound);
      std::vector<float> last;
      for (const auto id : ids) last = copy(steps->step(id));
      CHECK(difference(expected, last) < bound);
      CHECK(slow->patch_starts() == whole->patch_starts());
      CHECK(slow->patch_starts() == steps->patch_starts());
    }
  }
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

TEST_CASE("weights that fit into bfloat16 are kept so, and computed with as float32") {
  const auto ids = sample_text(150, 17);
  const auto rounded = [&] {
    auto blt = make_blt(small_config(), ids);
    blt->visit([](const std::string&, at::Tensor& w) { w = w.to(at::kBFloat16).to(at::kFloat); }, false, true);
    blt->config.patching.threshold = threshold_for(full_entropies(*blt->patcher, ids));
    return blt;
  };
  const auto narrow = rounded(), other = make_blt(small_config(), ids);
  other->patcher->visit("", [](const std::string&, at::Tensor& w) { w = w.to(at::kBFloat16).to(at::kFloat); });
  const auto fast = make_engine(narrow, cached(64, 256)), plain = make_engine(other, cached(64, 256)), slow = make_engine(rounded(), exact());
  CHECK(narrow->encoder.layers[0].wq.scalar_type() == at::kShort);
  CHECK(narrow->patcher->head.scalar_type() == at::kShort);
  CHECK(other->encoder.layers[0].wq.scalar_type() == at::kFloat);
  CHECK(other->patcher->head.scalar_type() == at::kShort);
  const auto expected = copy(slow->prefill(ids));
  CHECK(difference(expected, fast->prefill(ids)) < bound);  // many rows
  CHECK(slow->patch_starts() == fast->patch_starts());
  fast->reset();
  std::vector<float> last;
  for (const auto id : ids) last = copy(fast->step(id));
  CHECK(difference(expected, last) < bound);
  CHECK(slow->patch_starts() == fast->patch_starts());
  // Other engines over the same model.
  CHECK(difference(expected, make_engine(narrow, cached(64, 256))->prefill(ids)) < bound);
  CHECK(difference(expected, make_engine(narrow, exact())->prefill(ids)) < bound);
  CHECK(narrow->encoder.layers[0].wq.scalar_type() == at::kFloat);
}

TEST_CASE("weights that move out of their file give the same logits") {
  const auto folder = std::filesystem::temp_directory_path() / cat("blt-engine-test-", ::getpid());
  std::filesystem::create_directories(folder);
  {
    model::ByteLm lm;
    lm.create({shape(512, 2, 8, 8, 10000), {}}, at::kFloat);
    model::initialise(lm, 3);
    model::save(lm, folder.string());
  }
  const std::string path = folder.string() + "/model.safetensors", weights = read_file(path);
  AtomicFile file(path);  // small writes: the system keeps such a file in small pages
  for (std::size_t at = 0; at < weights.size(); at += 4096) file.write(std::string_view(weights).substr(at, 4096));
  file.commit();
  const std::string enabled = "/sys/kernel/mm/transparent_hugepage/enabled";
  const bool available = std::filesystem::exists(enabled) && read_file(enabled).find("[never]") == std::string::npos;
  const auto ids = sample_text(40, 5);
  for (const char* dtype : {"float32", "int8"}) {
    INFO(dtype);
    ModelOptions options;
    options.dtype = dtype;
    const auto engine = open_engine(folder.string(), options, {});
    const auto before = copy(engine->prefill(ids)), step = copy(engine->step(70));
    const std::size_t moved = engine->settle();
    // All but what shares a page with something else; of int8 no weights lie in the file any more.
    const bool some = available && std::string(dtype) == "float32";
    CHECK(moved <= (some ? weights.size() : 0));
    CHECK(moved + 2 * huge_page > (some ? weights.size() : 0));
    CHECK(engine->settle() == moved);
    engine->reset();
    CHECK(copy(engine->prefill(ids)) == before);
    CHECK(copy(engine->step(70)) == step);
  }
  std::filesystem::remove_all(folder);
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
      for (std::size_t draft = p + 1; draft < p + 4; ++draft) both([&](Engine& engine) { return engine.guess(ids[draft]); });
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
