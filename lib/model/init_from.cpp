// SPDX-License-Identifier: MIT
// "Byte-ifying" (paper section 6.1): a token model's layers become the latent transformer; its embedding, final norm and head
// are dropped.
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <filesystem>
#include <set>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/json.h"
#include "blt/model/checkpoint.h"
#include "blt/model/convert.h"
#include "json_fields.h"
#include "stored_types.h"

namespace blt::model {
namespace fs = std::filesystem;
namespace {

// What a Llama-family config.json says of its layers.
TransformerConfig read_shape(const std::string& folder, Reporter& reporter) {
  if (!fs::is_directory(folder)) throw input_error(cat(folder, ": no such model folder"));
  const std::string path = folder + "/config.json";
  const Json json = read_json_file(path);
  return with_context(path, [&] {
    if (!json.is_object()) throw input_error("not a JSON object");
    const std::string type = text(json, "model_type", "");
    if (type != "llama" && type != "mistral") {
      throw input_error(cat("model_type '", type.substr(0, 64), "' is not of the Llama family"), "llama and mistral are");
    }
    if (boolean(json, "attention_bias", false) || boolean(json, "mlp_bias", false)) throw input_error("its layers have biases");
    if (text(json, "hidden_act", "silu") != "silu") throw input_error("'hidden_act' other than silu is not supported");
    TransformerConfig c;
    c.dim = integer(json, "hidden_size", 4096);
    c.layers = integer(json, "num_hidden_layers", 32);
    c.heads = integer(json, "num_attention_heads", 32);
    c.kv_heads = integer(json, "num_key_value_heads", c.heads);
    c.ffn_dim = integer(json, "intermediate_size", 11008);
    c.max_positions = integer(json, "max_position_embeddings", 2048);
    c.norm_eps = number(json, "rms_norm_eps", 1e-6);
    const Json rope = object(json, "rope_parameters"), scaling = object(json, "rope_scaling");
    c.rope_theta = number(rope, "rope_theta", number(json, "rope_theta", 10000));
    for (const Json* r : {&rope, &scaling}) {
      const std::string kind = text(*r, "rope_type", text(*r, "type", "default").c_str());
      if (kind != "default") reporter.warn(cat("rope type '", kind.substr(0, 32), "' is left out: the latent transformer rotates by rope_theta alone"));
    }
    if (const auto size = integer(json, "head_dim", 0); size != 0 && c.heads > 0 && size * c.heads != c.dim) {
      throw input_error(cat("heads of ", size, " numbers do not make up hidden_size ", c.dim));
    }
    return c;
  });
}

// The largest preset that is not wider.
std::string preset_for(std::int64_t latent_dim) {
  std::string best = "tiny";
  for (const auto name : blt_presets) {
    if (blt_preset(name).latent.dim <= latent_dim) best = name;
  }
  return best;
}

BltConfig shape_for(const InitFromConfig& c, const TransformerConfig& latent) {
  BltConfig shape = blt_preset(c.preset.empty() ? preset_for(latent.dim) : c.preset);
  shape.latent = latent;
  if (c.cross_k) shape.cross_k = *c.cross_k;
  if (c.hash_rows) shape.hash_rows = *c.hash_rows;
  if (c.window) shape.semantics.window = *c.window;
  return shape;
}

// Llama files rotate number i of a head with number i + half; the latent transformer rotates neighbours (spec 5.3).
at::Tensor interleaved(const at::Tensor& w, std::int64_t heads) {
  const std::int64_t rows = w.size(0), columns = w.size(1), half = rows / heads / 2;
  return w.view({heads, 2, half, columns}).transpose(1, 2).reshape({rows, columns});
}

class TokenModel {
 public:
  explicit TokenModel(const std::string& folder) : folder_(folder), tensors_(open_safetensors(folder)) {}

  void take(const std::string& name, at::Tensor& parameter, std::int64_t rotary_heads) {
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) throw input_error(cat(folder_, ": missing tensor ", name));
    const io::TensorView& view = it->second.parts.front().view;
    if (at::IntArrayRef(view.shape) != parameter.sizes()) throw input_error(cat(folder_, ": ", name, " has a wrong shape"));
    const at::Tensor source =
        at::from_blob(const_cast<std::byte*>(view.data.data()), view.shape, at::TensorOptions().dtype(scalar_type(view.dtype))).to(at::kFloat);
    parameter.copy_(rotary_heads > 0 ? interleaved(source, rotary_heads) : source);
    seen_.insert(name);
  }

  // A tensor of the layers that has no place here would make another model.
  void finish() const {
    for (const auto& [name, tensor] : tensors_) {
      if (name.find("layers.") != name.npos && name.find("inv_freq") == name.npos && !seen_.count(name)) {
        throw input_error(cat(folder_, ": unexpected tensor ", name));
      }
    }
  }

 private:
  std::string folder_;
  std::map<std::string, StoredTensor, std::less<>> tensors_;
  std::set<std::string> seen_;
};

}  // namespace

int init_from(const InitFromConfig& c, Reporter& reporter) {
  check_output_path(c.output, c.force);
  const TransformerConfig latent = read_shape(c.input, reporter);
  const BltConfig shape = shape_for(c, latent);
  with_context(c.input, [&] { check(shape); });
  TokenModel source(c.input);
  Blt blt;
  blt.create(shape, at::TensorOptions().dtype(at::kFloat));
  initialise(blt, static_cast<std::uint64_t>(c.seed), false);
  const std::string ends[] = {"self_attn.q_proj.weight", "self_attn.k_proj.weight"};
  blt.latent.visit("model.", [&](const std::string& name, at::Tensor& parameter) {
    source.take(name, parameter, name.ends_with(ends[0]) ? latent.heads : name.ends_with(ends[1]) ? latent.kv_heads : 0);
  });
  source.finish();
  reporter.info(cat(latent.layers, " latent layers of width ", latent.dim, " from ", c.input, "; local models of width ", shape.encoder.dim,
                    " and hash tables are fresh, seed ", c.seed));
  if (c.dry_run) return 0;
  StagedFolder folder(c.output, c.force);
  save(blt, folder.path());
  folder.commit();
  reporter.info(cat(c.output, ": blt-train blt --init ", c.output, " --latent-lr 0.1 goes on from here"));
  return 0;
}

}  // namespace blt::model
