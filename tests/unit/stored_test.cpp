// SPDX-License-Identifier: MIT
// Model folders of every layout: conversion without loss, mapped tables, a token model's layers, and what is refused.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#undef CHECK
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/json.h"
#include "blt/generate/engine.h"
#include "blt/io/safetensors.h"
#include "blt/model/convert.h"
#include "blt/model/inference.h"

using namespace blt;
using namespace blt::model;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

struct TemporaryFolder {
  fs::path path = fs::temp_directory_path() / cat("blt-stored-test-", ::getpid());
  TemporaryFolder() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~TemporaryFolder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

NullReporter quiet;

void convert_to(const std::string& input, const std::string& output, const std::string& to, const std::string& dtype = "same") {
  ConvertConfig c;
  c.input = input;
  c.output = output;
  c.to = to;
  c.dtype = dtype;
  if (convert(c, quiet) != 0) throw internal_error("convert failed");  // REQUIRE would hide the errors that tests wait for
}

bool same_files(const std::string& a, const std::string& b) { return read_file(a) == read_file(b); }

std::string hf() { return BLT_TEST_DATA "/models/hf"; }
std::string meta() { return BLT_TEST_DATA "/models/meta"; }

std::vector<float> logits_of(const std::string& folder, const LoadOptions& options = {}) {
  const std::vector<std::vector<patch::TokenId>> documents = {patch::encode("A text that is long enough to hash; \xe6\x9d\xb1.", true, false)};
  return make_scorer(load_blt(folder, options), {at::kFloat}, at::kCPU)->score(documents, true)[0].logits;
}

// A copy of a folder whose JSON file was changed.
std::string edited(const TemporaryFolder& folder, const std::string& source, const std::string& file,
                   const std::function<void(Json&)>& edit) {
  const std::string path = folder / "edited";
  fs::remove_all(path);
  fs::copy(source, path, fs::copy_options::recursive);
  Json json = read_json_file(path + "/" + file);
  edit(json);
  write_file(path + "/" + file, dump_json(json));
  return path;
}

}  // namespace

TEST_CASE("conversion goes both ways without loss") {
  const TemporaryFolder folder;
  for (const std::string& source : {hf(), meta()}) {
    convert_to(source, folder / "a", "hf");
    for (const char* layout : {"meta", "meta-hub"}) {
      INFO(source << " by " << layout);
      const std::string there = folder / layout, back = folder / (layout + std::string("-back"));
      convert_to(folder / "a", there, layout);
      convert_to(there, back, "hf");
      CHECK(same_files((folder / "a") + "/model.safetensors", back + "/model.safetensors"));
      CHECK(same_files((folder / "a") + "/config.json", back + "/config.json"));
      CHECK(logits_of(there) == logits_of(source));
      fs::remove_all(there);
      fs::remove_all(back);
    }
    fs::remove_all(folder / "a");
  }
}

TEST_CASE("a byte LM converts alone") {
  const TemporaryFolder folder;
  convert_to(meta() + "/entropy_model", folder / "hf", "hf");
  CHECK(model_kind(folder / "hf") == Kind::byte_lm);
  convert_to(folder / "hf", folder / "meta", "meta");
  convert_to(folder / "hf", folder / "hub", "meta-hub");
  for (const char* name : {"hf", "meta", "hub"}) {
    CHECK(weights_digest(*load_entropy_model(folder / name)) == weights_digest(*load_entropy_model(meta())));
  }
}

TEST_CASE("types change on the way, each number to its nearest") {
  const TemporaryFolder folder;
  convert_to(hf(), folder / "half", "hf", "float16");
  convert_to(folder / "half", folder / "wide", "hf", "float32");
  const auto first = open_stored(hf()), half = open_stored(folder / "half"), wide = open_stored(folder / "wide");
  REQUIRE(half.tensors.size() == first.tensors.size());
  for (const auto& [name, tensor] : first.tensors) {
    const auto& narrow = half.tensors.at(name).parts[0].view;
    REQUIRE(narrow.dtype == io::DType::f16);
    const auto* a = reinterpret_cast<const float*>(tensor.parts[0].view.data.data());
    const auto* b = reinterpret_cast<const float*>(wide.tensors.at(name).parts[0].view.data.data());
    for (std::size_t i = 0; i < narrow.data.size() / 2; i += 7) CHECK(b[i] == static_cast<float>(static_cast<c10::Half>(a[i])));
  }
}

TEST_CASE("mapped hash tables give the same logits in every type and layout") {
  const TemporaryFolder folder;
  for (const char* dtype : {"same", "bfloat16", "float16"}) {
    for (const char* layout : {"hf", "meta", "meta-hub"}) {
      INFO(dtype << " " << layout);
      const std::string path = folder / (std::string(dtype) + layout);
      convert_to(meta(), path, layout, dtype);
      const auto blt = load_blt(path, {.map_hash_tables = true});
      CHECK_FALSE(blt->hash.weight.defined());
      CHECK(logits_of(path, {.map_hash_tables = true}) == logits_of(path));
    }
  }
}

TEST_CASE("what a layout cannot say is told") {
  const TemporaryFolder folder;
  const auto to_meta = [&](const std::string& part, const std::function<void(Json&)>& edit) {
    INFO(part);
    const std::string path = edited(folder, hf(), "config.json", edit);
    CHECK_THROWS_WITH(convert_to(path, folder / "out", "meta"), Contains(part));
    CHECK_FALSE(fs::exists(folder / "out"));
  };
  const auto toolkit = [](Json& j, const char* key, const Json& value) { j["blt_toolkit"]["semantics"][key] = value; };
  to_meta("rope_theta differ", [](Json& j) { j["global_config"]["rope_parameters"]["rope_theta"] = 7; });
  to_meta("rms_norm_eps differ", [](Json& j) { j["decoder_config"]["rms_norm_eps"] = 1e-3; });
  to_meta("sees across an EOS", [&](Json& j) { toolkit(j, "eos_blocks", false); });
  to_meta("top-k", [](Json& j) { j["blt_toolkit"]["patching"] = {{"scheme", "topk"}}; });
  const std::string heads = edited(folder, meta(), "params.json", [](Json& j) { j["model"]["cross_attn_nheads"] = 2; });
  CHECK_THROWS_WITH(convert_to(heads, folder / "out", "hf"), Contains("other heads than the local models"));
}

TEST_CASE("configs that make no model are told by their key") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& source, const std::string& file, const std::string& part, const std::function<void(Json&)>& edit) {
    INFO(part);
    const std::string path = edited(folder, source, file, edit);
    try {
      load_blt(path);
      FAIL("was loaded");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::input);
      CHECK_THAT(error.what(), Contains(part));
    }
  };
  const auto hf_refused = [&](const std::string& part, const std::function<void(Json&)>& edit) { refused(hf(), "config.json", part, edit); };
  hf_refused("cross_attn_k", [](Json& j) { j["cross_attn_k"] = 0; });
  hf_refused("cross_attn_k", [](Json& j) { j["cross_attn_k"] = -2; });
  hf_refused("num_attention_heads", [](Json& j) { j["encoder_config"]["num_attention_heads"] = 0; });
  hf_refused("do not divide", [](Json& j) { j["global_config"]["num_attention_heads"] = 5; });
  hf_refused("num_key_value_heads", [](Json& j) { j["global_config"]["num_key_value_heads"] = 7; });
  hf_refused("hidden_size", [](Json& j) { j["decoder_config"]["hidden_size"] = -16; });
  hf_refused("hidden_size", [](Json& j) { j["global_config"]["hidden_size"] = 1e18; });
  hf_refused("num_hidden_layers", [](Json& j) { j["global_config"]["num_hidden_layers"] = std::int64_t{1000000000000000000}; });
  hf_refused("out of range", [](Json& j) { j["cross_attn_k"] = std::uint64_t{18446744073709551615u}; });
  hf_refused("encoder_hash_byte_group_vocab", [](Json& j) { j["encoder_hash_byte_group_vocab"] = 0; });
  hf_refused("encoder_hash_byte_group_size", [](Json& j) { j["encoder_hash_byte_group_size"] = {3, -1}; });
  hf_refused("vocab_size", [](Json& j) { j["vocab_size"] = 32000; });
  hf_refused("not a whole number", [](Json& j) { j["cross_attn_k"] = "two"; });
  hf_refused("llama", [](Json& j) { j["model_type"] = "llama"; });
  hf_refused("nested more than", [](Json& j) {
    Json deep = 1;
    for (int i = 0; i < 200; ++i) deep = Json::array({deep});
    j["deep"] = deep;
  });
  const auto meta_refused = [&](const std::string& part, const std::function<void(Json&)>& edit) { refused(meta(), "params.json", part, edit); };
  meta_refused("cross_attn_k", [](Json& j) { j["model"]["cross_attn_k"] = 0; });
  meta_refused("'dim_global' is missing", [](Json& j) { j["model"].erase("dim_global"); });
  meta_refused("out of range", [](Json& j) { j["model"]["dim_local_encoder"] = std::int64_t{1000000000000000000}; });
  meta_refused("out of range", [](Json& j) { j["model"]["multiple_of"] = 0; });
  meta_refused("do not divide", [](Json& j) { j["model"]["n_heads_global"] = 3; });
  meta_refused("cross_attn_window_encoder", [](Json& j) { j["model"]["cross_attn_window_encoder"] = 512; });
  meta_refused("downsampling_by_pooling", [](Json& j) { j["model"]["downsampling_by_pooling"] = "min"; });
  meta_refused("tie_local_encoder_decoder", [](Json& j) { j["model"]["tie_local_encoder_decoder"] = true; });
  meta_refused("wrong shapes", [](Json& j) { j["model"]["encoder_hash_byte_group_vocab"] = 60; });
  meta_refused("missing tensors", [](Json& j) { j["model"]["n_layers_local_decoder"] = 4; });
  meta_refused("neither 'model' nor 'entropy_model'", [](Json& j) { j = Json::object({{"optim", 1}}); });
}

TEST_CASE("damaged and misplaced files are told") {
  const TemporaryFolder folder;
  const std::string path = edited(folder, meta(), "params.json", [](Json&) {});
  const std::string whole = read_file(path + "/consolidated.pth");
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    write_file(path + "/consolidated.pth", whole.substr(0, size));
    CHECK_THROWS_AS(load_blt(path), Error);
  }
  fs::remove(path + "/consolidated.pth");
  CHECK_THROWS_WITH(load_blt(path), Contains("no consolidated.pth"));
  write_file(path + "/consolidated.pth", whole);
  fs::remove_all(path + "/entropy_model");
  CHECK_THROWS_WITH(logits_of(path), Contains("no entropy model"));
  CHECK(logits_of(path, {.entropy_model = meta() + "/entropy_model"}) == logits_of(meta()));
  CHECK_THROWS_WITH(load_blt(path, {.entropy_model = folder / "nowhere"}), Contains("no such model folder"));
  // An index that names a tensor its file does not hold, or a file elsewhere.
  const std::string sharded = edited(folder, hf(), "config.json", [](Json&) {});
  fs::rename(sharded + "/model.safetensors", sharded + "/part.safetensors");
  const auto index = [&](const Json& map) { write_file(sharded + "/model.safetensors.index.json", dump_json({{"weight_map", map}})); };
  index({{"lm_head.weight", "../part.safetensors"}});
  CHECK_THROWS_WITH(load_blt(sharded), Contains("no plain file name"));
  index({{"no.such.tensor", "part.safetensors"}});
  CHECK_THROWS_WITH(load_blt(sharded), Contains("no.such.tensor"));
  index({{"lm_head.weight", "part.safetensors"}});
  CHECK_THROWS_WITH(load_blt(sharded), Contains("missing tensors"));
}

TEST_CASE("weights that are no numbers are told, not computed with") {
  const TemporaryFolder folder;
  for (const char* damaged : {"model.local_decoder.norm.weight", "model.patcher.norm.weight", "model.global_transformer.layers.0.mlp.down_proj.weight"}) {
    INFO(damaged);
    auto blt = load_blt(hf(), {.writable = true});
    blt->visit([&](const std::string& name, at::Tensor& parameter) {
      if (name == damaged) parameter.fill_(std::numeric_limits<float>::quiet_NaN());
    }, true, true);
    const std::string path = folder / "nan";
    fs::remove_all(path);
    fs::create_directories(path);
    save(*blt, path);
    CHECK_THROWS_WITH(logits_of(path), Contains("NaN"));
    const auto engine = generate::make_engine(std::shared_ptr<Blt>(load_blt(path)), {});
    const auto ids = patch::encode("some text", true, false);
    CHECK_THROWS_WITH(engine->prefill(ids), Contains("NaN"));
  }
}

TEST_CASE("a token model's layers become the latent transformer") {
  const TemporaryFolder folder;
  const std::string llama = BLT_TEST_DATA "/models/llama";
  InitFromConfig c;
  c.input = llama;
  c.output = folder / "blt";
  c.hash_rows = 50;
  REQUIRE(init_from(c, quiet) == 0);
  auto blt = load_blt(c.output);
  CHECK(blt->config.latent.kv_heads == 2);
  CHECK(blt->config.latent.ffn_dim == 48);
  const io::SafetensorsFile reference(llama + "/reference.safetensors");
  const auto tensor = [&](const char* name) {
    const auto& view = reference.at(name);
    return at::from_blob(const_cast<std::byte*>(view.data.data()), view.shape, at::TensorOptions().dtype(at::kFloat)).clone();
  };
  const at::Tensor x = tensor("input"), expected = tensor("output");
  std::vector<std::int32_t> first(19, 0), last, position;
  for (std::int32_t i = 0; i < 19; ++i) {
    last.push_back(i + 1);
    position.push_back(i);
  }
  const at::NoGradGuard no_gradients;
  const at::Tensor y = blt->latent.forward(x, at::tensor(position, at::kInt), 19, nn::make_ranges(first, last, 32, at::kCPU), {});
  CHECK((y - expected).abs().max().item<double>() < 1e-5);

  const auto refused = [&](const std::string& part, const std::function<void(Json&)>& edit) {
    INFO(part);
    c.input = edited(folder, llama, "config.json", edit);
    c.output = folder / "other";
    CHECK_THROWS_WITH(init_from(c, quiet), Contains(part));
    CHECK_FALSE(fs::exists(c.output));
  };
  refused("not of the Llama family", [](Json& j) { j["model_type"] = "gpt2"; });
  refused("biases", [](Json& j) { j["attention_bias"] = true; });
  refused("wrong shape", [](Json& j) { j["intermediate_size"] = 64; });
  refused("missing tensor model.layers.2", [](Json& j) { j["num_hidden_layers"] = 3; });
  refused("unexpected tensor model.layers.1", [](Json& j) { j["num_hidden_layers"] = 1; });
  refused("hidden_size", [](Json& j) { j["hidden_size"] = 0; });
}
