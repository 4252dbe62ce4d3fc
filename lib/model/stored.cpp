// SPDX-License-Identifier: MIT
#include "blt/model/stored.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "blt/base/error.h"
#include "blt/base/json.h"
#include "blt/io/safetensors.h"
#include "blt/io/torch_file.h"
#include "json_fields.h"
#include "names.h"

namespace blt::model {
namespace fs = std::filesystem;
namespace {

using Tensors = std::map<std::string, StoredTensor, std::less<>>;

constexpr const char* pth_names[] = {"consolidated.pth", "consolidated_with_rope.pth"};

struct Config {
  std::string path;
  Layout layout = Layout::hugging_face;
  Json json;
};

Config read_config(const std::string& folder) {
  if (!fs::is_directory(folder)) throw input_error(cat(folder, ": no such model folder"));
  Config c;
  c.path = folder + "/config.json";
  if (fs::exists(folder + "/params.json") && !fs::exists(c.path)) {
    c.path = folder + "/params.json";
    c.layout = Layout::meta_consolidated;
  } else if (!fs::exists(c.path)) {
    throw input_error(cat(folder, ": not a model folder (no config.json, no params.json)"));
  }
  c.json = read_json_file(c.path);
  if (!c.json.is_object()) throw input_error(cat(c.path, ": not a JSON object"));
  if (c.layout == Layout::hugging_face && c.json.contains("args")) c.layout = Layout::meta_hub;
  return c;
}

using AnyConfig = std::variant<ByteLmConfig, BltConfig>;

// "model" is a BLT's; a run of the entropy model has "entropy_model" instead.
AnyConfig parse_params(const Json& params) {
  if (is_given(params, "model")) {
    const Json data = object(params, "data");
    return blt_from_meta(object(params, "model"), is_given(data, "patcher_args") ? object(data, "patcher_args") : Json(nullptr));
  }
  if (is_given(params, "entropy_model")) return byte_lm_from_meta(object(params, "entropy_model"));
  throw input_error("neither 'model' nor 'entropy_model' is there");
}

AnyConfig parse_config(const Config& c) {
  return with_context(c.path, [&]() -> AnyConfig {
    if (c.layout == Layout::meta_consolidated) return parse_params(c.json);
    if (c.layout == Layout::meta_hub) {
      const Json args = object(c.json, "args");
      if (args.contains("dim_global")) return blt_from_meta(args, Json(nullptr));
      return byte_lm_from_meta(args);
    }
    const std::string type = text(c.json, "model_type", "");
    if (type == "blt") return blt_from_json(c.json);
    if (type == "blt_patcher") return byte_lm_from_json(c.json);
    throw input_error(cat("model_type '", type.substr(0, 64), "' is neither blt nor blt_patcher"));
  });
}

void add(Tensors& tensors, std::string name, const io::TensorView& view, const std::shared_ptr<MappedFile>& file) {
  StoredTensor tensor;
  tensor.shape = view.shape;
  tensor.parts.push_back({view, file});
  if (!tensors.emplace(name, std::move(tensor)).second) throw input_error(cat(file->path(), ": ", name, " comes twice"));
}

void add_file(Tensors& tensors, const std::string& path, const std::set<std::string>* only) {
  const io::SafetensorsFile file(path);
  if (only) {
    for (const auto& name : *only) file.at(name);  // named by the index
  }
  for (const auto& [name, view] : file.tensors()) {
    if (!only || only->count(name)) add(tensors, name, view, file.file());
  }
}

std::optional<HeadsConfig> heads_of(const StoredModel& model) {
  return std::visit([](const auto& config) { return config.heads; }, model.config);
}

void add_heads(Tensors& tensors, const std::string& folder, const HeadsConfig& heads) {
  const std::string path = folder + heads_file;
  if (!fs::exists(path)) throw input_error(cat(path, ": is missing, but config.json tells of ", heads.count, " prediction heads"));
  add_file(tensors, path, nullptr);
}

void add_indexed(Tensors& tensors, const std::string& folder, const std::string& index) {
  const Json json = read_json_file(index);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    throw input_error(cat(index, ": no weight_map"));
  }
  std::map<std::string, std::set<std::string>> files;
  for (const auto& [name, file] : json["weight_map"].items()) {
    if (!file.is_string() || file.get<std::string>().find('/') != std::string::npos) {
      throw input_error(cat(index, ": '", name, "' lies in no plain file name"));
    }
    files[file.get<std::string>()].insert(name);
  }
  for (const auto& [file, names] : files) add_file(tensors, folder + "/" + file, &names);
}

// The weights under "model", or at the top of the file.
Tensors open_pth(const std::string& folder) {
  for (const char* name : pth_names) {
    const std::string path = folder + "/" + name;
    if (!fs::exists(path)) continue;
    const io::TorchFile file(path);
    constexpr std::string_view top = "model/";
    Tensors tensors;
    const bool nested = std::any_of(file.tensors().begin(), file.tensors().end(), [&](auto& t) { return t.first.starts_with(top); });
    for (const auto& [key, view] : file.tensors()) {
      if (nested && !key.starts_with(top)) continue;  // an optimiser's state
      add(tensors, nested ? key.substr(top.size()) : key, view, file.file());
    }
    return tensors;
  }
  throw input_error(cat(folder, ": no consolidated.pth"));
}

// Tables 0, 1, ... become one tensor of parts.
void fuse_hash_tables(std::map<std::size_t, StoredTensor>& tables, Tensors& out) {
  if (tables.empty()) return;
  StoredTensor fused;
  for (auto& [table, tensor] : tables) {
    const StoredTensor::Part& part = tensor.parts.front();
    if (table != fused.parts.size()) throw input_error(cat(hash_table_to_meta(fused.parts.size()), " is missing"));
    if (tensor.shape.size() != 2 || (!fused.parts.empty() && (part.view.shape != fused.parts[0].view.shape || part.view.dtype != fused.dtype()))) {
      throw input_error(cat(hash_table_to_meta(table), ": the hash tables are not of one shape and type"));
    }
    fused.parts.push_back(part);
  }
  fused.shape = tables.begin()->second.shape;
  if (__builtin_mul_overflow(fused.shape[0], static_cast<std::int64_t>(fused.parts.size()), &fused.shape[0])) {
    throw input_error("the hash tables have more rows than can be counted");
  }
  out.emplace(hash_tables_name, std::move(fused));
}

Tensors renamed(Tensors meta, Kind kind) {
  Tensors out;
  std::map<std::size_t, StoredTensor> tables;
  for (auto& [name, tensor] : meta) {
    // Made by Meta's code and never used (spec 5.9).
    if (name.find("token_embedding_projection") != name.npos && name.starts_with("local_")) continue;
    if (const auto table = hash_table_from_meta(name); kind == Kind::blt && table) {
      tables.emplace(*table, std::move(tensor));
    } else {
      out.emplace(kind == Kind::blt ? blt_name_from_meta(name) : byte_lm_name_from_meta(name), std::move(tensor));
    }
  }
  fuse_hash_tables(tables, out);
  return out;
}

std::string find_entropy_model(const std::string& folder) {
  for (const char* place : {"/entropy_model", "/../entropy_model"}) {
    if (fs::is_directory(folder + place)) return folder + place;
  }
  return {};
}

// Takes the byte LM of `folder` in as the patcher of `model`.
void adopt_patcher(StoredModel& model, const std::string& folder) {
  StoredModel source = open_stored(folder);
  auto& blt = std::get<BltConfig>(model.config);
  std::erase_if(model.tensors, [](const auto& t) { return t.first.starts_with(patcher_prefix); });
  const bool inside = source.kind() == Kind::blt;
  if (inside) {
    const auto& other = std::get<BltConfig>(source.config);
    if (!other.patcher) throw input_error(cat(folder, ": this BLT has no entropy model inside"));
    blt.patcher = other.patcher;
  } else {
    blt.patcher = std::get<ByteLmConfig>(source.config);
    blt.patcher->heads.reset();
  }
  for (auto& [name, tensor] : source.tensors) {
    if (inside ? !name.starts_with(patcher_prefix) : name.starts_with(heads_prefix)) continue;
    model.tensors.emplace(inside ? name : std::string(patcher_prefix) + name, std::move(tensor));
  }
}

}  // namespace

Tensors open_safetensors(const std::string& folder) {
  Tensors tensors;
  const std::string single = folder + "/model.safetensors", index = single + ".index.json";
  if (fs::exists(single)) {
    add_file(tensors, single, nullptr);
  } else if (fs::exists(index)) {
    add_indexed(tensors, folder, index);
  } else {
    throw input_error(cat(folder, ": no model.safetensors"));
  }
  return tensors;
}

Kind model_kind(const std::string& folder) {
  return std::holds_alternative<BltConfig>(parse_config(read_config(folder))) ? Kind::blt : Kind::byte_lm;
}

StoredModel open_stored(const std::string& folder, const std::string& entropy_model) {
  const Config config = read_config(folder);
  StoredModel model{folder, config.layout, parse_config(config), {}};
  if (config.layout == Layout::hugging_face) {
    model.tensors = open_safetensors(folder);
    if (const auto heads = heads_of(model)) add_heads(model.tensors, folder, *heads);
  } else {
    Tensors tensors = config.layout == Layout::meta_hub ? open_safetensors(folder) : open_pth(folder);
    model.tensors = with_context(folder, [&] { return renamed(std::move(tensors), model.kind()); });
  }
  if (model.kind() == Kind::blt) {
    const auto& blt = std::get<BltConfig>(model.config);
    std::string place = entropy_model;
    if (place.empty() && config.layout != Layout::hugging_face && patch::needs_entropies(blt.patching.scheme)) {
      place = find_entropy_model(folder);
    }
    if (!place.empty()) adopt_patcher(model, place);
  }
  return model;
}

}  // namespace blt::model
