// SPDX-License-Identifier: MIT
#include "trainee.h"

#include "blt/base/error.h"
#include "blt/model/checkpoint.h"
#include "blt/shard/shard.h"

namespace blt::train {
namespace {

at::TensorOptions float_on(at::Device device) { return at::TensorOptions().dtype(at::kFloat).device(device); }

// The heads that a run trains: the options' or, where they don't say, those of the model that it starts from.
std::optional<model::HeadsConfig> choose_heads(const TrainConfig& c, const std::optional<model::HeadsConfig>& given) {
  const std::optional kind = c.mtp_heads ? std::optional(model::parse_head_kind(*c.mtp_heads)) : std::nullopt;
  const std::int64_t count = c.mtp.value_or(given ? given->count : 1);
  if (count == 1) {
    if (kind) throw usage_error("--mtp-heads: there is one head, the model's own", "--mtp N adds heads");
    return std::nullopt;
  }
  if (!given) return model::HeadsConfig{count, kind.value_or(model::HeadKind::linear)};
  if (count != given->count || kind.value_or(given->kind) != given->kind) {
    throw usage_error(cat("--mtp: the model of --init has ", given->count, " heads of kind ", model::head_kind_names[static_cast<std::size_t>(given->kind)]),
                      "without --mtp they are kept; --mtp 1 leaves them out");
  }
  return given;
}

// Heads of a model that --init gave: kept, fresh or none.
template <class Model>
void adjust_heads(Model& m, const std::optional<model::HeadsConfig>& heads, std::int64_t seed) {
  if (heads.has_value() != m.heads.has_value()) model::set_heads(m, heads, static_cast<std::uint64_t>(seed));
}

class ByteLmTrainee final : public Trainee {
 public:
  ByteLmTrainee(const TrainConfig& c, at::Device device, Reporter& reporter)
      : config_(c), device_(device), documents_(corpus_stream(c, reporter)) {
    const bool given = !c.init.empty();
    if (given) lm_ = std::move(*model::load_byte_lm(c.init, {.device = device, .writable = true}));
    model::ByteLmConfig shape = given ? lm_.config : model::byte_lm_preset(c.preset);
    if (c.window) shape.semantics.window = *c.window;
    if (c.sequence_length > 0) shape.transformer.max_positions = c.sequence_length;
    shape.heads = choose_heads(c, shape.heads);
    model::check(shape);
    if (given) {
      adjust_heads(lm_, shape.heads, c.seed);
    } else {
      lm_.create(shape, float_on(device));
      model::initialise(lm_, static_cast<std::uint64_t>(c.seed));
    }
    lm_.config = shape;
  }

  std::string name() const override { return "byte LM " + (config_.init.empty() ? config_.preset : config_.init); }
  std::int64_t parameters() const override { return model::parameter_count(lm_.config); }
  std::int64_t trained_length() const override { return lm_.config.transformer.max_positions; }
  const model::Semantics& semantics() const override { return lm_.config.semantics; }
  std::int64_t cross_k() const override { return 0; }
  OpenStream documents() const override { return documents_; }
  void add_parameters(Optimizer& optimizer) override {
    visit(lm_, [&](const std::string& name, at::Tensor& parameter) { optimizer.add(name, parameter); });
  }
  HeadedModel headed(const model::Pass& pass) override { return train::headed(lm_, pass); }
  void save(const std::string& folder) override { model::save(lm_, folder); }
  void load(const std::string& folder) override {
    copy_into(*model::load_byte_lm(folder, {.device = device_}));
  }

 private:
  static void visit(model::ByteLm& lm, const model::ParameterVisitor& visitor) {
    lm.visit("", visitor);
    if (lm.heads) lm.heads->visit(visitor);
  }
  void copy_into(model::ByteLm& source) {
    std::vector<at::Tensor> values;
    visit(source, [&](const std::string&, at::Tensor& parameter) { values.push_back(parameter); });
    std::size_t i = 0;
    visit(lm_, [&](const std::string&, at::Tensor& parameter) { parameter.detach().copy_(values.at(i++)); });
  }

  TrainConfig config_;
  at::Device device_;
  OpenStream documents_;
  model::ByteLm lm_;
};

// The manifest's rules and entropy model, so that the checkpoint can patch text by itself.
void adopt_patching(const TrainConfig& c, at::Device device, model::BltConfig& shape, std::unique_ptr<model::ByteLm>& patcher) {
  const shard::Manifest manifest = shard::read_manifest(c.data.at(0));
  shape.patching = model::rules_from_json(manifest.patching);
  const auto cut_by = [](const shard::Manifest& m) {
    const std::string digest = m.entropy_model.is_object() ? m.entropy_model.value("digest", "") : "";
    return dump_json(model::rules_to_json(model::rules_from_json(m.patching))) + digest;
  };
  for (const auto& folder : c.data) {
    if (cut_by(shard::read_manifest(folder)) != cut_by(manifest)) {
      throw input_error(cat(folder, ": cut by other rules or another entropy model than ", c.data[0]));
    }
  }
  shape.patcher.reset();
  if (!patch::needs_entropies(shape.patching.scheme)) return;
  std::string folder = c.entropy_model;
  if (folder.empty() && manifest.entropy_model.is_object()) folder = manifest.entropy_model.value("path", "");
  if (folder.empty()) {
    throw usage_error(cat(c.data[0], ": the shards name no entropy model"), "give it by --entropy-model DIR");
  }
  patcher = with_context("--entropy-model", [&] { return model::load_entropy_model(folder, {.device = device}); });
  const std::string digest = manifest.entropy_model.is_object() ? manifest.entropy_model.value("digest", "") : "";
  if (!digest.empty() && digest != model::weights_digest(*patcher)) {
    throw input_error(cat(folder, ": not the entropy model that cut these shards (its digest differs)"));
  }
  shape.patcher = patcher->config;
}

class BltTrainee final : public Trainee {
 public:
  BltTrainee(const TrainConfig& c, at::Device device) : config_(c), device_(device) {
    const bool given = !c.init.empty();
    if (given && c.hash_rows) throw usage_error("--hash-rows: the model of --init has its own");
    if (given) blt_ = std::move(*model::load_blt(c.init, {.device = device, .writable = true}));
    model::BltConfig shape = given ? blt_.config : model::blt_preset(c.preset);
    if (c.window) shape.semantics.window = *c.window;
    if (c.hash_rows) shape.hash_rows = *c.hash_rows;
    if (c.sequence_length > 0) shape.encoder.max_positions = shape.decoder.max_positions = c.sequence_length;
    std::unique_ptr<model::ByteLm> patcher;
    adopt_patching(c, device, shape, patcher);
    shape.heads = choose_heads(c, shape.heads);
    model::check(shape);
    if (given) {
      adjust_heads(blt_, shape.heads, c.seed);
    } else {
      blt_.create(shape, float_on(device));
      // Rows that no training text touches should say nothing.
      model::initialise(blt_, static_cast<std::uint64_t>(c.seed), false);
    }
    blt_.config = shape;
    blt_.patcher = std::move(patcher);
  }

  std::string name() const override { return "BLT " + (config_.init.empty() ? config_.preset : config_.init); }
  std::int64_t parameters() const override { return model::parameter_count(blt_.config); }
  std::int64_t trained_length() const override { return blt_.config.encoder.max_positions; }
  const model::Semantics& semantics() const override { return blt_.config.semantics; }
  std::int64_t cross_k() const override { return blt_.config.cross_k; }
  OpenStream documents() const override { return shard_stream(config_); }
  void add_parameters(Optimizer& optimizer) override {
    const auto rate = [&](const std::string& name) {
      return name.starts_with("model.global_transformer.layers.") ? config_.latent_learning_rate : 1;
    };
    const auto add = [&](const std::string& name, at::Tensor& parameter) { optimizer.add(name, parameter, rate(name)); };
    blt_.visit(add, false, false);
    if (blt_.heads) blt_.heads->visit(add);
    if (blt_.hash.tables() > 0) optimizer.add_hash_tables("model.encoder_hash_tok_embedding.weight", blt_.hash);
  }
  HeadedModel headed(const model::Pass& pass) override { return train::headed(blt_, pass); }
  void save(const std::string& folder) override { model::save(blt_, folder); }
  void load(const std::string& folder) override {
    const auto source = model::load_blt(folder, {.device = device_});
    std::vector<at::Tensor> values;
    visit(*source, [&](const std::string&, at::Tensor& parameter) { values.push_back(parameter); });
    std::size_t i = 0;
    visit(blt_, [&](const std::string&, at::Tensor& parameter) { parameter.detach().copy_(values.at(i++)); });
  }

 private:
  static void visit(model::Blt& blt, const model::ParameterVisitor& visitor) {
    blt.visit(visitor, true, true);
    if (blt.heads) blt.heads->visit(visitor);
  }

  TrainConfig config_;
  at::Device device_;
  model::Blt blt_;
};

}  // namespace

std::unique_ptr<Trainee> make_trainee(const TrainConfig& config, at::Device device, Reporter& reporter) {
  if (config.kind == "entropy") return std::make_unique<ByteLmTrainee>(config, device, reporter);
  return std::make_unique<BltTrainee>(config, device);
}

}  // namespace blt::train
