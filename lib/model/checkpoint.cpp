// SPDX-License-Identifier: MIT
#include "blt/model/checkpoint.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <functional>
#include <set>

#include "blt/base/error.h"
#include "blt/base/hash.h"
#include "blt/base/json.h"
#include "blt/base/memory.h"
#include "blt/io/safetensors.h"
#include "blt/nn/memory.h"
#include "names.h"
#include "stored_types.h"

namespace blt::model {
namespace {

at::Tensor tensor_of(const StoredTensor::Part& part) {
  // The deleter keeps the file mapped.
  return at::from_blob(const_cast<std::byte*>(part.view.data.data()), part.view.shape, [file = part.file](void*) {},
                       at::TensorOptions().dtype(scalar_type(part.view.dtype)));
}

bool is_aligned(const StoredTensor::Part& part) {
  return reinterpret_cast<std::uintptr_t>(part.view.data.data()) % io::dtype_size(part.view.dtype) == 0;
}

std::string sizes(at::IntArrayRef shape) {
  std::string out = "[";
  for (const auto n : shape) out += (out.size() > 1 ? ", " : "") + std::to_string(n);
  return out + "]";
}

// Stored tensors on their way into a model's parameters.
class Weights {
 public:
  Weights(StoredModel& model, const LoadOptions& options) : model_(model), options_(options) {}

  // The stored tensor becomes the parameter, whose sizes it must have; its absence or another shape is noted and told by
  // finish(). float32 on the CPU stays mapped where nothing writes to it; else one copy is made, in float32.
  void take(const std::string& name, at::Tensor& parameter) {
    const StoredTensor* tensor = find(name, parameter.sizes());
    if (!tensor) return;
    scalar_type(tensor->dtype());  // weights are floating-point
    if (options_.check_only) return;
    const StoredTensor::Part& first = tensor->parts.front();
    const bool in_place = !options_.writable && options_.device.is_cpu() && tensor->parts.size() == 1 &&
                          first.view.dtype == io::DType::f32 && is_aligned(first) && name != hash_tables_name;
    if (in_place) {
      prefer_huge_pages(first.view.data.data(), first.view.data.size());
      parameter = tensor_of(first);
      mapped_.insert(first.view.data.data());
      return;
    }
    parameter = nn::empty_in_huge_pages(parameter.sizes(), at::TensorOptions().dtype(at::kFloat).device(options_.device));
    at::Tensor to = parameter.view({-1});
    for (const auto& part : tensor->parts) {
      copy(part, to);
      to = to.slice(0, static_cast<std::int64_t>(part.view.data.size() / io::dtype_size(part.view.dtype)));
    }
  }

  // The tables stay in their file, in its type.
  void map(const std::string& name, nn::HashTables& tables) {
    const StoredTensor* tensor = find(name, tables.weight.sizes());
    if (!tensor) return;
    nn::MappedTables mapped;
    switch (tensor->dtype()) {
      case io::DType::f32: mapped.type = kernels::TableElement::f32; break;
      case io::DType::f16: mapped.type = kernels::TableElement::f16; break;
      case io::DType::bf16: mapped.type = kernels::TableElement::bf16; break;
      default: throw input_error(cat(name, ": hash tables of type ", io::dtype_name(tensor->dtype()), " can't stay mapped"));
    }
    const std::size_t table_bytes = tensor->parts.size() == 1 ? tensor->parts[0].view.data.size() / static_cast<std::size_t>(tables.tables())
                                                              : tensor->parts[0].view.data.size();
    for (const auto& part : tensor->parts) {
      if (!is_aligned(part)) throw input_error(cat(name, ": not aligned in its file, so it can't stay mapped"));
      for (std::size_t at = 0; at < part.view.data.size(); at += table_bytes) mapped.tables.push_back(part.view.data.data() + at);
      mapped.files.push_back(part.file);
    }
    tables.mapped = std::move(mapped);
    tables.weight = at::Tensor();
  }

  const std::set<const void*>& mapped() const { return mapped_; }

  // Errors: input, naming what is missing, mis-shaped or unexpected. RoPE buffers may be there (spec 5.10).
  // `other_part` says which tensors belong to a part of the model that is not loaded here.
  void finish(const std::function<bool(const std::string&)>& other_part = {}) {
    for (const auto& [name, tensor] : model_.tensors) {
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
    if (!problems.empty()) throw input_error(cat(model_.folder, ": ", problems));
  }

 private:
  // In pieces, each of which leaves memory when it is copied: a second copy never exists.
  static void copy(const StoredTensor::Part& part, at::Tensor to) {
    const std::size_t size = io::dtype_size(part.view.dtype);
    const auto data = part.view.data;
    const at::Tensor source = at::from_blob(const_cast<std::byte*>(data.data()), {static_cast<std::int64_t>(data.size() / size)},
                                            at::TensorOptions().dtype(scalar_type(part.view.dtype)));
    constexpr std::int64_t piece = std::int64_t{1} << 24;  // numbers
    for (std::int64_t at = 0; at < source.numel(); at += piece) {
      const std::int64_t end = std::min(at + piece, source.numel());
      to.slice(0, at, end).copy_(source.slice(0, at, end));
      part.file->release(data.subspan(static_cast<std::size_t>(at) * size, static_cast<std::size_t>(end - at) * size));
    }
  }

  const StoredTensor* find(const std::string& name, at::IntArrayRef shape) {
    const auto it = model_.tensors.find(name);
    if (it == model_.tensors.end()) return note(missing_, name), nullptr;
    seen_.insert(name);
    if (at::IntArrayRef(it->second.shape) != shape) {
      return note(misshaped_, cat(name, " ", sizes(it->second.shape), " instead of ", sizes(shape))), nullptr;
    }
    return &it->second;
  }

  // At most a handful of names, or one line would become a page.
  static void note(std::string& list, const std::string& name) {
    const auto commas = std::count(list.begin(), list.end(), ',');
    if (commas < 8) list += (list.empty() ? "" : ", ") + name;
    else if (list.back() != '.') list += ", ...";
  }

  StoredModel& model_;
  const LoadOptions& options_;
  std::set<std::string> seen_;
  std::set<const void*> mapped_;
  std::string missing_, misshaped_, unexpected_;
};

// Shapes only: loading replaces every parameter.
at::TensorOptions shapes_only() { return at::TensorOptions().dtype(at::kFloat).device(at::kMeta); }

bool of_patcher(const std::string& name) { return name.starts_with(patcher_prefix); }

using Visit = std::function<void(const ParameterVisitor&)>;

void write_weights(const Visit& visit, const std::string& path) {
  io::SafetensorsWriter writer(path);
  writer.metadata("format", "pt");
  visit([&](const std::string& name, at::Tensor& t) { writer.declare(name, io::DType::f32, t.sizes().vec()); });
  visit([&](const std::string& name, at::Tensor& t) {
    const at::Tensor host = t.detach().cpu().contiguous();
    writer.write(name, {static_cast<const std::byte*>(host.data_ptr()), host.nbytes()});
  });
  writer.commit();
}

template <class Model>
void write_model(Model& model, const Visit& visit, const std::string& folder) {
  write_file(folder + "/config.json", dump_json(to_json(model.config), 2) + "\n");
  write_weights(visit, folder + "/model.safetensors");
  if (model.heads) write_weights([&](const ParameterVisitor& v) { model.heads->visit(v); }, folder + heads_file);
}

}  // namespace

LoadOptions load_options(const ModelOptions& options, at::Device device) {
  return {device, options.compat, options.entropy_model, options.hash_tables == "mapped"};
}

std::unique_ptr<ByteLm> load_byte_lm(const std::string& folder, const LoadOptions& options) {
  StoredModel model = open_stored(folder);
  if (model.kind() != Kind::byte_lm) throw input_error(cat(folder, ": a BLT, not a byte LM"));
  auto& config = std::get<ByteLmConfig>(model.config);
  apply_compat(config, options.compat);
  auto lm = std::make_unique<ByteLm>();
  lm->create(config, shapes_only());
  Weights weights(model, options);
  const auto take = [&](const std::string& name, at::Tensor& parameter) { weights.take(name, parameter); };
  lm->visit("", take);
  if (lm->heads) lm->heads->visit(take);
  lm->mapped = weights.mapped();
  weights.finish();
  return lm;
}

std::unique_ptr<Blt> load_blt(const std::string& folder, const LoadOptions& options) {
  StoredModel model = open_stored(folder, options.entropy_model);
  if (model.kind() != Kind::blt) throw input_error(cat(folder, ": a byte LM, not a BLT"));
  auto& config = std::get<BltConfig>(model.config);
  apply_compat(config, options.compat);
  auto blt = std::make_unique<Blt>();
  blt->create(config, shapes_only());
  Weights weights(model, options);
  const bool map = options.map_hash_tables && blt->hash.tables() > 0;
  if (map) weights.map(std::string(hash_tables_name), blt->hash);
  const auto take = [&](const std::string& name, at::Tensor& parameter) { weights.take(name, parameter); };
  blt->visit(take, !map, true);
  if (blt->heads) blt->heads->visit(take);
  blt->mapped = weights.mapped();
  const bool with_patcher = blt->patcher != nullptr;
  weights.finish([&](const std::string& name) { return !with_patcher && of_patcher(name); });
  return blt;
}

std::unique_ptr<ByteLm> load_entropy_model(const std::string& folder, const LoadOptions& options) {
  StoredModel model = open_stored(folder);
  if (model.kind() == Kind::byte_lm) {
    auto lm = load_byte_lm(folder, options);
    set_heads(*lm, std::nullopt, 0);
    return lm;
  }
  auto& config = std::get<BltConfig>(model.config);
  apply_compat(config, options.compat);
  if (!config.patcher) throw input_error(cat(folder, ": this BLT has no entropy model inside"));
  auto lm = std::make_unique<ByteLm>();
  lm->create(*config.patcher, shapes_only());
  Weights weights(model, options);
  lm->visit(std::string(patcher_prefix), [&](const std::string& name, at::Tensor& parameter) { weights.take(name, parameter); });
  weights.finish([](const std::string& name) { return !of_patcher(name); });
  return lm;
}

void save(ByteLm& lm, const std::string& folder) {
  write_model(lm, [&](const ParameterVisitor& v) { lm.visit("", v); }, folder);
}

void save(Blt& blt, const std::string& folder) {
  write_model(blt, [&](const ParameterVisitor& v) { blt.visit(v, true, true); }, folder);
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
