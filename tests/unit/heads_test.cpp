// SPDX-License-Identifier: MIT
// Multi-token prediction: targets, the backward head by head, checkpoints with heads, conversion.
#include <ATen/ATen.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#undef CHECK
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/json.h"
#include "blt/base/random.h"
#include "blt/io/safetensors.h"
#include "blt/model/checkpoint.h"
#include "blt/model/convert.h"
#include "blt/train/losses.h"

using namespace blt;
using namespace blt::model;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

struct TemporaryFolder {
  fs::path path = fs::temp_directory_path() / cat("blt-heads-test-", ::getpid());
  TemporaryFolder() { fs::create_directories(path); }
  ~TemporaryFolder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  std::string made(const std::string& name) const {
    fs::create_directories(path / name);
    return *this / name;
  }
};

TransformerConfig shape(std::int64_t dim, std::int64_t layers, std::int64_t heads) {
  return {dim, layers, heads, heads, 2 * dim, 4096, 10000, 1e-5};
}

std::unique_ptr<ByteLm> make_lm(const std::optional<HeadsConfig>& heads) {
  auto lm = std::make_unique<ByteLm>();
  lm->create({shape(32, 2, 2), {.window = 20}, heads}, at::kFloat);
  initialise(*lm, 5);
  return lm;
}

std::unique_ptr<Blt> make_blt(const std::optional<HeadsConfig>& heads) {
  BltConfig c;
  c.encoder = shape(32, 1, 2);
  c.latent = shape(48, 2, 3);
  c.decoder = shape(32, 2, 2);
  c.hash_rows = 101;
  c.semantics.window = 20;
  c.patching.scheme = patch::Scheme::byte;
  c.heads = heads;
  auto blt = std::make_unique<Blt>();
  blt->create(c, at::kFloat);
  initialise(*blt, 5);
  return blt;
}

// Pieces of documents: random bytes, patches of 1 to 7.
struct Pieces {
  std::vector<std::vector<patch::TokenId>> ids;
  std::vector<std::vector<std::uint32_t>> lengths;
  std::vector<Segment> segments;

  explicit Pieces(const std::vector<std::size_t>& sizes) {
    Random random(3);
    for (const std::size_t n : sizes) {
      ids.emplace_back();
      for (std::size_t i = 0; i < n; ++i) ids.back().push_back(static_cast<patch::TokenId>(4 + random.below(256)));
      lengths.push_back({1});
      for (std::size_t sum = 1; sum < n;) {
        lengths.back().push_back(static_cast<std::uint32_t>(std::min<std::size_t>(n - sum, 1 + random.below(7))));
        sum += lengths.back().back();
      }
    }
    for (std::size_t i = 0; i < ids.size(); ++i) segments.push_back({ids[i], lengths[i], i % 2 ? -1 : 77, 0});
  }
};

Batch batch_of(const ByteLm& lm, const Pieces& pieces) { return make_batch(pieces.segments, lm.config.semantics, at::kCPU); }
Batch batch_of(const Blt& blt, const Pieces& pieces) {
  return make_batch(pieces.segments, blt.config.semantics, blt.config.cross_k, at::kCPU);
}

void visit_all(ByteLm& lm, const ParameterVisitor& visitor) {
  lm.visit("", visitor);
  if (lm.heads) lm.heads->visit(visitor);
}
void visit_all(Blt& blt, const ParameterVisitor& visitor) {
  blt.visit(visitor, false, true);
  if (blt.heads) blt.heads->visit(visitor);
}
nn::HashTables* tables_of(ByteLm&) { return nullptr; }
nn::HashTables* tables_of(Blt& blt) { return &blt.hash; }

// The most bytes of tensors that were alive at once, beyond those at the start.
class MemoryPeak final : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, std::int64_t bytes, std::size_t, std::size_t, c10::Device) override {
    live_ += bytes;
    most_ = std::max(most_, live_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  std::int64_t most() const { return most_; }

 private:
  std::int64_t live_ = 0, most_ = 0;
};

std::int64_t peak_of(const std::function<void()>& work) {
  const auto peak = std::make_shared<MemoryPeak>();
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, peak);
    work();
  }
  return peak->most();
}

constexpr double weights[] = {1, 0.7, 0.35, 0.175, 0.1, 0.1, 0.1, 0.1};

// One graph over all heads: what the backward head by head must equal.
void backward_at_once(const train::HeadedModel& model, const Batch& batch) {
  const at::Tensor state = model.state(batch);
  at::Tensor sum;
  for (std::int64_t head = 1; head <= model.heads; ++head) {
    const at::Tensor loss = nn::cross_entropy(model.logits(state, head, batch), head_targets(batch, head), 1.0) * weights[head - 1];
    sum = sum.defined() ? sum + loss : loss;
  }
  sum.backward();
}

// Gradients of all parameters and hash rows, by name; they are cleared.
template <class Model>
std::map<std::string, at::Tensor> take_gradients(Model& m) {
  std::map<std::string, at::Tensor> out;
  visit_all(m, [&](const std::string& name, at::Tensor& parameter) {
    out[name] = parameter.grad();
    parameter.mutable_grad() = at::Tensor();
  });
  if (auto* tables = tables_of(m)) out["hash"] = nn::take_gradient(*tables).values;
  return out;
}

template <class Model>
void check_backward(Model& m) {
  visit_all(m, [](const std::string&, at::Tensor& parameter) { parameter.requires_grad_(true); });
  if (auto* tables = tables_of(m)) tables->trainable = true;
  const train::HeadedModel headed = train::headed(m, {});
  const Pieces pieces({700, 900, 3, 400});
  const Batch batch = batch_of(m, pieces);
  const std::int64_t joint_peak = peak_of([&] { backward_at_once(headed, batch); });
  const auto joint = take_gradients(m);
  std::vector<train::HeadLoss> losses;
  const std::int64_t peak = peak_of([&] { losses = train::backward(headed, batch, weights); });
  const auto ours = take_gradients(m);
  REQUIRE(ours.size() == joint.size());
  for (const auto& [name, gradient] : ours) {
    INFO(name);
    REQUIRE(gradient.defined());
    const double largest = joint.at(name).abs().max().template item<double>();
    CHECK(largest > 0);
    CHECK((gradient - joint.at(name)).abs().max().template item<double>() < 1e-5 * largest);
  }
  // All but two of the heads' logits are not alive.
  const std::int64_t logits_bytes = batch.bytes * 260 * 4;
  INFO("peak " << peak << ", of one graph " << joint_peak << ", logits of a head " << logits_bytes);
  CHECK(peak + (headed.heads - 2) * logits_bytes < joint_peak);
  REQUIRE(std::ssize(losses) == headed.heads);
  const at::Tensor state = headed.state(batch);
  for (std::int64_t head = 1; head <= headed.heads; ++head) {
    const at::Tensor target = head_targets(batch, head), rows = at::nonzero(target >= 0).flatten();
    const at::Tensor likelihood = at::log_softmax(headed.logits(state, head, batch), 1).index_select(0, rows);
    const double nats = -likelihood.gather(1, target.index_select(0, rows).to(at::kLong).unsqueeze(1)).sum().template item<double>();
    const auto& loss = losses[static_cast<std::size_t>(head - 1)];
    CHECK(loss.targets == rows.numel());
    CHECK(loss.nats == Approx(nats).epsilon(1e-5));
  }
}

class Listener final : public Reporter {
 public:
  void log(LogLevel level, std::string_view message) override {
    if (level == LogLevel::warning) warnings += std::string(message) + "\n";
  }
  void progress(const Progress&) override {}
  std::string warnings;
};

void convert_to(const std::string& input, const std::string& output, const std::string& to, Reporter& reporter) {
  ConvertConfig c;
  c.input = input;
  c.output = output;
  c.to = to;
  if (convert(c, reporter) != 0) throw internal_error("convert failed");
}

constexpr HeadKind kinds[] = {HeadKind::linear, HeadKind::layer};

}  // namespace

TEST_CASE("head i's target is i bytes further, in the same piece or not at all") {
  Pieces pieces({6, 1, 9, 2, 3});
  pieces.segments[2].first_target = 4;  // context
  const Batch batch = make_batch(pieces.segments, {}, at::kCPU);
  for (std::int64_t head = 1; head <= 16; ++head) {
    std::vector<std::int32_t> expected;
    for (const auto& s : pieces.segments) {
      for (std::int64_t p = 0; p < std::ssize(s.ids); ++p) {
        const std::int64_t at = p + head, end = std::ssize(s.ids);
        const bool known = p >= s.first_target && (at < end || (at == end && s.next_id >= 0));
        expected.push_back(!known ? -1 : at == end ? s.next_id : s.ids[static_cast<std::size_t>(at)]);
      }
    }
    INFO("head " << head);
    CHECK(at::equal(head_targets(batch, head), at::tensor(expected, at::kInt)));
  }
}

TEST_CASE("the backward head by head gives one backward's gradients in less memory") {
  for (const HeadKind kind : kinds) {
    for (const std::int64_t count : {2, 8}) {
      INFO(head_kind_names[static_cast<std::size_t>(kind)] << " " << count);
      check_backward(*make_lm(HeadsConfig{count, kind}));
      check_backward(*make_blt(HeadsConfig{count, kind}));
    }
  }
}

TEST_CASE("heads leave the other weights alone and begin as the first one") {
  const Pieces pieces({50, 30});
  const auto plain = make_blt({});
  for (const HeadKind kind : kinds) {
    const auto blt = make_blt(HeadsConfig{3, kind});
    std::map<std::string, at::Tensor> weights_without;
    plain->visit([&](const std::string& name, at::Tensor& p) { weights_without[name] = p; }, true, true);
    blt->visit([&](const std::string& name, at::Tensor& p) { CHECK(at::equal(p, weights_without.at(name))); }, true, true);
    const Batch batch = batch_of(*blt, pieces);
    const at::Tensor state = blt->state(batch, {}), first = blt->logits(state, 1, batch, {});
    CHECK(at::equal(first, plain->forward(batch, {})));
    const double off = (blt->logits(state, 3, batch, {}) - first).abs().max().item<double>();
    if (kind == HeadKind::linear) CHECK(off == 0);
    else CHECK((off > 0 && off < 0.5 * first.abs().max().item<double>()));
  }
  CHECK_THROWS_AS(plain->logits(plain->state(batch_of(*plain, pieces), {}), 2, batch_of(*plain, pieces), {}), Error);
}

TEST_CASE("layer heads see neither other pieces nor later bytes") {
  const auto lm = make_lm(HeadsConfig{3, HeadKind::layer});
  Pieces pieces({40, 40});
  const auto run = [&] {
    const Batch batch = batch_of(*lm, pieces);
    return lm->logits(lm->state(batch, {}), 3, batch, {});
  };
  const at::Tensor before = run();
  pieces.ids[0][20] = pieces.ids[0][20] == 50 ? 51 : 50;
  const at::Tensor changed = (run() - before).abs().amax(1);
  CHECK(changed.slice(0, 0, 20).max().item<double>() == 0);
  CHECK(changed.slice(0, 20, 22).min().item<double>() > 0);
  CHECK(changed.slice(0, 40).max().item<double>() == 0);
}

TEST_CASE("a checkpoint keeps heads in a file of their own") {
  const TemporaryFolder folder;
  const Pieces pieces({50, 30});
  for (const HeadKind kind : kinds) {
    const std::string name = std::string(head_kind_names[static_cast<std::size_t>(kind)]);
    const auto blt = make_blt(HeadsConfig{4, kind});
    save(*blt, folder.made(name));
    save(*make_blt({}), folder.made("plain"));
    CHECK(read_file(folder / (name + "/model.safetensors")) == read_file(folder / "plain/model.safetensors"));
    CHECK_FALSE(fs::exists(folder / "plain/heads.safetensors"));
    const auto again = load_blt(folder / name);
    REQUIRE(again->heads);
    CHECK(again->heads->config.count == 4);
    CHECK(again->heads->config.kind == kind);
    const Batch batch = batch_of(*blt, pieces);
    for (std::int64_t head = 1; head <= 4; ++head) {
      CHECK(at::equal(blt->logits(blt->state(batch, {}), head, batch, {}), again->logits(again->state(batch, {}), head, batch, {})));
    }
    std::int64_t counted = 0;
    visit_all(*again, [&](const std::string&, at::Tensor& p) { counted += p.numel(); });
    CHECK(counted + again->hash.weight.numel() == parameter_count(again->config));
  }
  const auto lm = make_lm(HeadsConfig{4, HeadKind::layer});
  save(*lm, folder.made("lm"));
  CHECK(load_byte_lm(folder / "lm")->heads);
  // As an entropy model it has no heads, and its digest is that of the same model without.
  const auto entropy_model = load_entropy_model(folder / "lm");
  CHECK_FALSE(entropy_model->heads);
  CHECK_FALSE(entropy_model->config.heads);
  CHECK(weights_digest(*entropy_model) == weights_digest(*make_lm({})));
  const auto around = load_blt(folder / "linear", {.entropy_model = folder / "lm"});
  CHECK_FALSE(around->patcher->heads);
  CHECK(around->heads);
}

TEST_CASE("broken heads are told by name") {
  const TemporaryFolder folder;
  const auto edited = [&](const char* file, const std::function<void(Json&)>& edit) {
    fs::remove_all(folder / "m");
    save(*make_lm(HeadsConfig{3, HeadKind::linear}), folder.made("m"));
    Json json = read_json_file((folder / "m") + "/config.json");
    edit(json["blt_toolkit"]["heads"]);
    write_file((folder / "m") + "/config.json", dump_json(json));
    if (*file) fs::remove(folder / (std::string("m/") + file));
    return folder / "m";
  };
  CHECK_NOTHROW(load_byte_lm(edited("", [](Json&) {})));
  CHECK_THROWS_WITH(load_byte_lm(edited("heads.safetensors", [](Json&) {})), Contains("heads.safetensors: is missing") && Contains("3 prediction heads"));
  CHECK_THROWS_WITH(load_byte_lm(edited("", [](Json& j) { j["count"] = 4; })), Contains("missing tensors: heads.4.lm_head.weight"));
  CHECK_THROWS_WITH(load_byte_lm(edited("", [](Json& j) { j["count"] = 2; })), Contains("unexpected tensors: heads.3.lm_head.weight"));
  CHECK_THROWS_WITH(load_byte_lm(edited("", [](Json& j) { j["count"] = 17; })), Contains("not from 2 to 16"));
  CHECK_THROWS_WITH(load_byte_lm(edited("", [](Json& j) { j["kind"] = "cubic"; })), Contains("'cubic'"));
  CHECK_THROWS_WITH(load_byte_lm(edited("", [](Json& j) { j = 3; })), Contains("'heads' is not an object"));
  CHECK_THROWS_WITH(load_byte_lm(edited("", [](Json& j) { j["kind"] = "layer"; })), Contains("missing tensors: heads.2.input_layernorm.weight"));
  // Without a word in config.json the file is not read.
  CHECK_FALSE(load_byte_lm(edited("heads.safetensors", [](Json& j) { j = nullptr; }))->heads);

  edited("", [](Json&) {});
  io::SafetensorsWriter writer((folder / "m") + "/heads.safetensors");
  const std::vector<float> few(8);
  for (const char* name : {"heads.2.lm_head.weight", "heads.3.lm_head.weight"}) writer.declare(name, io::DType::f32, {2, 4});
  for (const char* name : {"heads.2.lm_head.weight", "heads.3.lm_head.weight"}) writer.write(name, std::as_bytes(std::span(few)));
  writer.commit();
  CHECK_THROWS_WITH(load_byte_lm(folder / "m"), Contains("wrong shapes: heads.2.lm_head.weight [2, 4] instead of [260, 32]"));
}

TEST_CASE("convert keeps heads in the Hugging Face layout and warns where they are lost") {
  const TemporaryFolder folder;
  save(*make_lm(HeadsConfig{3, HeadKind::layer}), folder.made("lm"));
  Listener listener;
  convert_to(folder / "lm", folder / "hf", "hf", listener);
  const auto lm = load_byte_lm(folder / "lm"), converted = load_byte_lm(folder / "hf");
  std::map<std::string, at::Tensor> expected;
  visit_all(*lm, [&](const std::string& name, at::Tensor& p) { expected[name] = p; });
  REQUIRE(expected.count("heads.3.mlp.down_proj.weight") == 1);
  visit_all(*converted, [&](const std::string& name, at::Tensor& p) { CHECK(at::equal(p, expected.at(name))); });
  CHECK(converted->heads->config.count == 3);
  const io::SafetensorsFile standard((folder / "hf") + "/model.safetensors");
  for (const auto& [name, view] : standard.tensors()) CHECK_FALSE(name.starts_with("heads."));
  CHECK(listener.warnings.empty());
  convert_to(folder / "lm", folder / "meta", "meta-hub", listener);
  CHECK_THAT(listener.warnings, Contains("prediction heads"));
  CHECK_FALSE(load_byte_lm(folder / "meta")->heads);
  CHECK(weights_digest(*load_byte_lm(folder / "meta")) == weights_digest(*load_byte_lm(folder / "lm")));
}
