// SPDX-License-Identifier: MIT
#include "blt/model/checkpoint.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include "blt/base/error.h"
#include "blt/base/hash.h"
#include "blt/base/json.h"
#include "blt/io/safetensors.h"

namespace blt::model {
namespace fs = std::filesystem;
namespace {

Json read_config(const std::string& folder) {
  if (!fs::is_directory(folder)) throw input_error(cat(folder, ": no such model folder"));
  const std::string path = folder + "/config.json";
  if (!fs::exists(path)) throw input_error(cat(folder, ": not a model folder (no config.json)"));
  Json json = read_json_file(path);
  if (!json.is_object()) throw input_error(cat(path, ": not a JSON object"));
  return json;
}

template <class Read>
auto parse_config(const std::string& folder, Read&& read) {
  const Json json = read_config(folder);
  return with_context(folder + "/config.json", [&] { return read(json); });
}

at::ScalarType scalar_type(io::DType dtype) {
  switch (dtype) {
    case io::DType::f64: return at::kDouble;
    case io::DType::f32: return at::kFloat;
    case io::DType::f16: return at::kHalf;
    case io::DType::bf16: return at::kBFloat16;
    default: throw input_error(cat("weights of type ", io::dtype_name(dtype), " are not supported"));
  }
}

// All tensors of a folder: one file, or the shards that an index names.
class Weights {
 public:
  explicit Weights(const std::string& folder) {
    const std::string single = folder + "/model.safetensors", index = single + ".index.json";
    if (fs::exists(single)) {
      open(single, nullptr);
    } else if (fs::exists(index)) {
      open_index(folder, index);
    } else {
      throw input_error(cat(folder, ": no model.safetensors"));
    }
  }

  // Copies the named tensor into `parameter`; its absence or another shape is noted and told by finish().
  void take(const std::string& name, at::Tensor& parameter) {
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) return note(missing_, name);
    seen_.insert(name);
    const io::TensorView& view = *it->second;
    if (at::IntArrayRef(view.shape) != parameter.sizes()) {
      return note(misshaped_, cat(name, " ", sizes(view.shape), " instead of ", sizes(parameter.sizes())));
    }
    const at::Tensor source = at::from_blob(const_cast<std::byte*>(view.data.data()), view.shape,
                                            at::TensorOptions().dtype(scalar_type(view.dtype)));
    parameter.copy_(source);
  }

  // Errors: input, naming what is missing, mis-shaped or unexpected. RoPE buffers may be there (spec 5.10).
  // `other_part` says which tensors belong to a part of the model that is not loaded here.
  void finish(const std::string& folder, const std::function<bool(const std::string&)>& other_part = {}) {
    for (const auto& [name, view] : tensors_) {
      const bool ignored = name.find("rope") != std::string::npos || name.find("inv_freq") != std::string::npos ||
                           name.rfind("blt_toolkit.", 0) == 0 || (other_part && other_part(name));
      if (!seen_.count(name) && !ignored) note(unexpected_, name);
    }
    std::string problems;
    const auto tell = [&](const char* what, const std::string& list) {
      if (!list.empty()) problems += cat(problems.empty() ? "" : "; ", what, ": ", list);
    };
    tell("missing tensors", missing_);
    tell("wrong shapes", misshaped_);
    tell("unexpected tensors", unexpected_);
    if (!problems.empty()) throw input_error(cat(folder, ": ", problems));
  }

 private:
  void open(const std::string& path, const std::set<std::string>* only) {
    files_.push_back(std::make_unique<io::SafetensorsFile>(path));
    for (const auto& [name, view] : files_.back()->tensors()) {
      if (!only || only->count(name)) tensors_[name] = &view;
    }
  }

  void open_index(const std::string& folder, const std::string& index) {
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
    for (const auto& [file, names] : files) open(folder + "/" + file, &names);
  }

  static std::string sizes(at::IntArrayRef shape) {
    std::string out = "[";
    for (const auto n : shape) out += (out.size() > 1 ? ", " : "") + std::to_string(n);
    return out + "]";
  }

  // At most a handful of names, or one line would become a page.
  static void note(std::string& list, const std::string& name) {
    const auto commas = std::count(list.begin(), list.end(), ',');
    if (commas < 8) list += (list.empty() ? "" : ", ") + name;
    else if (list.back() != '.') list += ", ...";
  }

  std::vector<std::unique_ptr<io::SafetensorsFile>> files_;
  std::map<std::string, const io::TensorView*> tensors_;
  std::set<std::string> seen_;
  std::string missing_, misshaped_, unexpected_;
};

bool of_patcher(const std::string& name) { return name.rfind("model.patcher.", 0) == 0; }

at::TensorOptions float_options(at::Device device) { return at::TensorOptions().dtype(at::kFloat).device(device); }

using Visit = std::function<void(const ParameterVisitor&)>;

void write_weights(const Json& config, const Visit& visit, const std::string& folder) {
  write_file(folder + "/config.json", dump_json(config, 2) + "\n");
  io::SafetensorsWriter writer(folder + "/model.safetensors");
  writer.metadata("format", "pt");
  visit([&](const std::string& name, at::Tensor& t) { writer.declare(name, io::DType::f32, t.sizes().vec()); });
  visit([&](const std::string& name, at::Tensor& t) {
    const at::Tensor host = t.detach().cpu().contiguous();
    writer.write(name, {static_cast<const std::byte*>(host.data_ptr()), host.nbytes()});
  });
  writer.commit();
}

}  // namespace

Kind model_kind(const std::string& folder) {
  return parse_config(folder, [](const Json& json) {
    const Json type = json.value("model_type", Json(nullptr));
    if (type == "blt") return Kind::blt;
    if (type == "blt_patcher") return Kind::byte_lm;
    throw input_error(cat("model_type ", dump_json(type), " is neither blt nor blt_patcher"));
  });
}

std::unique_ptr<ByteLm> load_byte_lm(const std::string& folder, at::Device device) {
  auto lm = std::make_unique<ByteLm>();
  lm->create(parse_config(folder, byte_lm_from_json), float_options(device));
  Weights weights(folder);
  lm->visit("", [&](const std::string& name, at::Tensor& parameter) { weights.take(name, parameter); });
  weights.finish(folder);
  return lm;
}

std::unique_ptr<Blt> load_blt(const std::string& folder, at::Device device) {
  auto blt = std::make_unique<Blt>();
  blt->create(parse_config(folder, blt_from_json), float_options(device));
  Weights weights(folder);
  blt->visit([&](const std::string& name, at::Tensor& parameter) { weights.take(name, parameter); }, true, true);
  const bool with_patcher = blt->patcher != nullptr;
  weights.finish(folder, [&](const std::string& name) { return !with_patcher && of_patcher(name); });
  return blt;
}

std::unique_ptr<ByteLm> load_entropy_model(const std::string& folder, at::Device device) {
  if (model_kind(folder) == Kind::byte_lm) return load_byte_lm(folder, device);
  const BltConfig config = parse_config(folder, blt_from_json);
  if (!config.patcher) throw input_error(cat(folder, ": this BLT has no entropy model inside"));
  auto lm = std::make_unique<ByteLm>();
  lm->create(*config.patcher, float_options(device));
  Weights weights(folder);
  lm->visit("model.patcher.", [&](const std::string& name, at::Tensor& parameter) { weights.take(name, parameter); });
  weights.finish(folder, [](const std::string& name) { return !of_patcher(name); });
  return lm;
}

void save(ByteLm& lm, const std::string& folder) {
  write_weights(to_json(lm.config), [&](const ParameterVisitor& v) { lm.visit("", v); }, folder);
}

void save(Blt& blt, const std::string& folder) {
  write_weights(to_json(blt.config), [&](const ParameterVisitor& v) { blt.visit(v, true, true); }, folder);
}

std::string weights_digest(ByteLm& lm) {
  Digest digest;
  lm.visit("", [&](const std::string& name, at::Tensor& parameter) {
    digest.update(name);
    const at::Tensor host = parameter.detach().cpu().contiguous();
    digest.update({static_cast<const std::byte*>(host.data_ptr()), host.nbytes()});
  });
  return digest.hex();
}

}  // namespace blt::model
