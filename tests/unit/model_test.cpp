// SPDX-License-Identifier: MIT
// Models over packed batches: independence of documents, causality, checkpoints, whole-document inference.
#include <ATen/ATen.h>
#undef CHECK
#include <catch2/catch.hpp>

#include <unistd.h>

#include <filesystem>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/json.h"
#include "blt/base/random.h"
#include "blt/model/inference.h"

using namespace blt;
using namespace blt::model;
namespace fs = std::filesystem;

namespace {

using Ids = std::vector<patch::TokenId>;

struct TemporaryFolder {
  fs::path path = fs::temp_directory_path() / cat("blt-model-test-", ::getpid());
  TemporaryFolder() { fs::create_directories(path); }
  ~TemporaryFolder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

TransformerConfig shape(std::int64_t dim, std::int64_t layers, std::int64_t heads) {
  return {dim, layers, heads, heads, 2 * dim, 4096, 10000, 1e-5};
}

BltConfig small_blt(bool all_layers = false) {
  BltConfig c;
  c.encoder = shape(32, all_layers ? 2 : 1, 2);
  c.latent = shape(48, 2, 3);
  c.decoder = shape(32, 2, 2);
  c.cross_all_encoder_layers = all_layers;
  c.hash_rows = 101;
  c.semantics.window = 20;
  c.patcher = ByteLmConfig{shape(16, 2, 2), {.window = 24}};
  c.patching.threshold = 5.4;
  return c;
}

template <class Model, class Config>
std::unique_ptr<Model> made(const Config& config) {
  auto model = std::make_unique<Model>();
  model->create(config, at::kFloat);
  initialise(*model, 5);
  return model;
}

Ids random_ids(Random& random, std::size_t count) {
  Ids ids = {patch::bos_id};
  while (ids.size() < count) ids.push_back(static_cast<patch::TokenId>(4 + random.below(256)));
  return ids;
}

std::vector<std::uint32_t> random_lengths(Random& random, std::size_t count) {
  std::vector<std::uint32_t> lengths = {1};
  for (std::size_t sum = 1; sum < count;) {
    const auto n = std::min<std::size_t>(count - sum, 1 + random.below(7));
    lengths.push_back(static_cast<std::uint32_t>(n));
    sum += n;
  }
  return lengths;
}

double difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace

TEST_CASE("packed documents do not see each other") {
  for (const bool all_layers : {false, true}) {
    auto blt = made<Blt>(small_blt(all_layers));
    Random random(3);
    std::vector<Ids> ids;
    std::vector<std::vector<std::uint32_t>> lengths;
    for (const std::size_t n : {50, 1, 7, 130}) {
      ids.push_back(random_ids(random, n));
      lengths.push_back(random_lengths(random, n + n % 2));
    }
    std::vector<Segment> segments;
    for (std::size_t i = 0; i < ids.size(); ++i) segments.push_back({ids[i], lengths[i]});
    const at::Tensor together = blt->forward(make_batch(segments, blt->config.semantics, 2, at::kCPU), {});
    std::int64_t row = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const at::Tensor alone = blt->forward(make_batch(std::span(segments).subspan(i, 1), blt->config.semantics, 2, at::kCPU), {});
      CHECK(difference(together.slice(0, row, row + alone.size(0)), alone) < 1e-5);
      row += alone.size(0);
    }
  }
}

TEST_CASE("no position sees a later byte") {
  auto blt = made<Blt>(small_blt());
  Random random(4);
  const Ids ids = random_ids(random, 90);
  const auto lengths = random_lengths(random, 91);
  const auto run = [&](const Ids& x) {
    const Segment segment{x, lengths};
    return blt->forward(make_batch(std::span(&segment, 1), blt->config.semantics, 2, at::kCPU), {});
  };
  const at::Tensor before = run(ids);
  for (const std::size_t at : {1, 30, 61, 89}) {
    Ids changed = ids;
    changed[at] = changed[at] == 50 ? 51 : 50;
    const at::Tensor after = run(changed);
    CHECK(difference(before.slice(0, 0, static_cast<std::int64_t>(at)), after.slice(0, 0, static_cast<std::int64_t>(at))) == 0);
    CHECK(difference(before[static_cast<std::int64_t>(at)], after[static_cast<std::int64_t>(at)]) > 1e-4);
  }
}

TEST_CASE("an EOS closes the context of bytes and patches") {
  auto blt = made<Blt>(small_blt());
  blt->config.hash_group_sizes.clear();
  blt->create(blt->config, at::kFloat);
  initialise(*blt, 5);
  Random random(6);
  Ids ids = random_ids(random, 60);
  ids[29] = patch::eos_id;
  ids[30] = patch::bos_id;
  std::vector<std::uint32_t> lengths = random_lengths(random, 30), tail = random_lengths(random, 30);
  lengths.insert(lengths.end(), tail.begin(), tail.end());
  Ids other = ids;
  for (std::size_t i = 1; i < 29; ++i) other[i] = 77;
  const auto run = [&](const Ids& x) {
    const Segment segment{x, lengths};
    return blt->forward(make_batch(std::span(&segment, 1), blt->config.semantics, 2, at::kCPU), {}).slice(0, 30);
  };
  CHECK(difference(run(ids), run(other)) == 0);
}

TEST_CASE("lengths that do not tile are refused") {
  const Ids ids(10, 70);
  const std::vector<std::uint32_t> wrong_sum = {1, 3}, wrong_first = {2, 8};
  const Segment a{ids, wrong_sum}, b{ids, wrong_first};
  CHECK_THROWS_AS(make_batch(std::span(&a, 1), {}, 2, at::kCPU), Error);
  CHECK_THROWS_AS(make_batch(std::span(&b, 1), {}, 2, at::kCPU), Error);
}

TEST_CASE("a checkpoint gives back the same model") {
  TemporaryFolder folder;
  auto blt = made<Blt>(small_blt());
  fs::create_directories(folder / "m");
  save(*blt, folder / "m");
  CHECK(model_kind(folder / "m") == Kind::blt);
  auto again = load_blt(folder / "m");
  CHECK(dump_json(to_json(again->config)) == dump_json(to_json(blt->config)));
  CHECK(weights_digest(*again->patcher) == weights_digest(*blt->patcher));
  CHECK(weights_digest(*load_entropy_model(folder / "m")) == weights_digest(*blt->patcher));
  Random random(8);
  const Ids ids = random_ids(random, 40);
  const auto lengths = random_lengths(random, 41);
  const Segment segment{ids, lengths};
  const Batch batch = make_batch(std::span(&segment, 1), blt->config.semantics, 2, at::kCPU);
  CHECK(at::equal(blt->forward(batch, {}), again->forward(batch, {})));
}

TEST_CASE("broken checkpoints are told in one line") {
  TemporaryFolder folder;
  auto lm = made<ByteLm>(ByteLmConfig{shape(16, 1, 2), {}});
  const auto fresh = [&](const std::string& name) {
    fs::create_directories(folder / name);
    save(*lm, folder / name);
    return folder / name;
  };
  const auto edited = [&](const std::string& name, const std::function<void(Json&)>& edit) {
    const std::string path = fresh(name);
    Json json = read_json_file(path + "/config.json");
    edit(json);
    write_file(path + "/config.json", dump_json(json));
    return path;
  };
  using Catch::Contains;
  CHECK_THROWS_WITH(load_byte_lm(folder / "nowhere"), Contains("no such model folder"));
  CHECK_THROWS_WITH(load_byte_lm(edited("a", [](Json& j) { j["hidden_size"] = 32; })), Contains("wrong shapes"));
  CHECK_THROWS_WITH(load_byte_lm(edited("b", [](Json& j) { j["num_hidden_layers"] = 2; })), Contains("missing tensors: layers.1."));
  CHECK_THROWS_WITH(load_byte_lm(edited("c", [](Json& j) { j["num_hidden_layers"] = 0; })), Contains("unexpected tensors: layers.0."));
  CHECK_THROWS_WITH(load_byte_lm(edited("d", [](Json& j) { j["num_attention_heads"] = 3; })), Contains("do not divide"));
  CHECK_THROWS_WITH(load_byte_lm(edited("e", [](Json& j) { j["hidden_size"] = 1e18; })), Contains("hidden_size"));
  CHECK_THROWS_WITH(load_byte_lm(edited("f", [](Json& j) { j["hidden_size"] = -4; })), Contains("hidden_size"));
  CHECK_THROWS_WITH(load_byte_lm(edited("g", [](Json& j) { j["model_type"] = "llama"; })), Contains("llama"));
  CHECK_THROWS_WITH(load_blt(fresh("h")), Contains("a byte LM, not a BLT"));
  const std::string cut = fresh("i");
  fs::resize_file(cut + "/model.safetensors", 1000);
  CHECK_THROWS_AS(load_byte_lm(cut), Error);
}

TEST_CASE("entropies of a long document are those of one pass") {
  ByteLmConfig config{shape(16, 2, 2), {.window = 24}};
  auto lm = made<ByteLm>(config);
  Random random(9);
  const std::vector<Ids> documents = {random_ids(random, 70'000), random_ids(random, 10)};
  const auto ours = entropies(*lm, documents, {}, at::kCPU);
  const Segment whole{documents[0], {}};
  const at::Tensor once = nn::entropy(lm->forward(make_batch(std::span(&whole, 1), config.semantics, at::kCPU), {}));
  REQUIRE(ours[0].size() == documents[0].size());
  REQUIRE(ours[1].size() == 10);
  double most = 0;
  for (std::size_t i = 0; i < ours[0].size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(ours[0][i]) - once[static_cast<std::int64_t>(i)].item<double>()));
  }
  CHECK(most < 1e-4);
}

TEST_CASE("an entropy source computes as the model does, in every type") {
  ByteLmConfig config{shape(36, 2, 2), {.window = 24}};
  config.transformer.ffn_dim = 50;
  auto lm = made<ByteLm>(config);
  Random random(11);
  std::vector<Ids> documents = {random_ids(random, 300), random_ids(random, 1), random_ids(random, 5000), {}, random_ids(random, 47)};
  documents[0][100] = patch::eos_id;  // the next block begins there
  const auto wanted = entropies(*lm, documents, {}, at::kCPU);
  const auto differences = [&](const std::vector<std::vector<float>>& found) {
    double most = 0, sum = 0, count = 0;
    REQUIRE(found.size() == wanted.size());
    for (std::size_t d = 0; d < wanted.size(); ++d) {
      REQUIRE(found[d].size() == wanted[d].size());
      for (std::size_t i = 0; i < wanted[d].size(); ++i, ++count) {
        const double difference = std::abs(static_cast<double>(found[d][i]) - wanted[d][i]);
        most = std::max(most, difference);
        sum += difference;
      }
    }
    return std::pair(most, sum / count);
  };
  const auto of_type = [&](const std::string& dtype) {
    return make_entropy_source(made<ByteLm>(config), dtype, at::kCPU)->entropies(documents);
  };
  CHECK(differences(of_type("float32")).first < 1e-5);
  CHECK(of_type("auto") == of_type("float32"));
  const double bf16 = differences(of_type("bfloat16")).second, int8 = differences(of_type("int8")).second;
  const auto by_operations = entropies(*lm, documents, {at::kBFloat16}, at::kCPU);
  const double plain_bf16 = differences(by_operations).second;
  CHECK(bf16 > 1e-4);
  CHECK(bf16 == Approx(plain_bf16).epsilon(0.1));  // rounded at the same places
  round_matrices(*lm);
  CHECK(entropies(*lm, documents, {at::kBFloat16}, at::kCPU) == by_operations);
  CHECK(int8 > 1e-5);
  CHECK(int8 < 0.05);
}

TEST_CASE("meta-chunk restarts the context every 8192 positions") {
  const TemporaryFolder folder;
  ByteLmConfig config{shape(16, 1, 2), {.window = 24}};
  save(*made<ByteLm>(config), folder.path.string());
  Random random(12);
  const std::vector<Ids> documents = {random_ids(random, 9000), random_ids(random, 50)};
  ModelOptions options;
  options.threads = 1;
  const auto whole = open_entropy_source(folder.path.string(), options)->entropies(documents);
  options.compat = "meta-chunk";
  const auto chunked = open_entropy_source(folder.path.string(), options)->entropies(documents);
  const auto cut = documents[0].begin() + 8192;
  options.compat = "meta";
  const auto parts = open_entropy_source(folder.path.string(), options)->entropies(std::vector<Ids>{{documents[0].begin(), cut}, {cut, documents[0].end()}});
  REQUIRE(chunked[0].size() == 9000);
  CHECK(std::vector<float>(chunked[0].begin(), chunked[0].begin() + 8192) == parts[0]);
  CHECK(std::vector<float>(chunked[0].begin() + 8192, chunked[0].end()) == parts[1]);
  CHECK(std::abs(chunked[0][8192] - whole[0][8192]) > 1e-4);
  CHECK(chunked[1] == whole[1]);
}

TEST_CASE("a scorer covers every position of long and short documents once") {
  BltConfig config = small_blt();
  config.encoder.max_positions = config.decoder.max_positions = 64;
  const auto scorer = make_scorer(made<Blt>(config), {}, at::kCPU);
  Random random(10);
  const std::vector<Ids> documents = {random_ids(random, 500), random_ids(random, 1), {}, random_ids(random, 63)};
  const auto results = scorer->score(documents, true);
  for (std::size_t d = 0; d < documents.size(); ++d) {
    const auto n = documents[d].size();
    CHECK(results[d].entropies.size() == n);
    CHECK(results[d].losses.size() == (n == 0 ? 0 : n - 1));
    CHECK(results[d].logits.size() == n * 260);
    for (std::size_t t = 0; t + 1 < n; ++t) {
      const auto row = at::from_blob(const_cast<float*>(results[d].logits.data()) + t * 260, {260});
      const double expected = -at::log_softmax(row, 0)[documents[d][t + 1]].item<double>();
      if (t % 37 == 0) CHECK(results[d].losses[t] == Approx(expected).margin(1e-4));
    }
  }
}

TEST_CASE("presets have the published shapes") {  // spec 1.5: parameters of the released models
  CHECK(parameter_count(byte_lm_preset("100m")) == Approx(99.5e6).epsilon(0.001));
  CHECK(parameter_count(blt_preset("1b")) == Approx(4.633e9 - 99.5e6).epsilon(0.001));
  CHECK(parameter_count(blt_preset("8b")) == Approx(10.65e9 - 99.5e6).epsilon(0.001));
  for (const auto name : byte_lm_presets) CHECK_NOTHROW(check(byte_lm_preset(name)));
  for (const auto name : blt_presets) CHECK_NOTHROW(check(blt_preset(name)));
  CHECK_THROWS_AS(blt_preset("huge"), Error);
  auto blt = made<Blt>(small_blt());
  std::int64_t counted = 0;
  blt->visit([&](const std::string&, at::Tensor& p) { counted += p.numel(); }, true, false);
  CHECK(counted == parameter_count(blt->config));
}
