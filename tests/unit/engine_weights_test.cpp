// SPDX-License-Identifier: MIT
// Engines whose weights are narrow, or move out of their file, against those that compute with what the model holds.
#include <unistd.h>

#include <filesystem>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/memory.h"
#include "blt/config/model_options.h"
#include "blt/model/checkpoint.h"
#include "engine_cases.h"

using namespace blt;
using namespace blt::generate;
using namespace engine_cases;

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
