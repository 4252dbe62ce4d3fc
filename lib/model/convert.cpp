// SPDX-License-Identifier: MIT
#include "blt/model/convert.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/units.h"
#include "blt/io/safetensors.h"
#include "blt/io/torch_file.h"
#include "blt/model/checkpoint.h"
#include "names.h"
#include "stored_types.h"

namespace blt::model {
namespace fs = std::filesystem;
namespace {

// A tensor of the new layout: parts of an old one, or a part of it.
struct Output {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<StoredTensor::Part> parts;
};

io::DType target_type(const std::string& asked, io::DType stored) {
  if (asked == "float32") return io::DType::f32;
  if (asked == "bfloat16") return io::DType::bf16;
  if (asked == "float16") return io::DType::f16;
  return stored;
}

std::span<const std::byte> raw(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

// Copies a tensor's bytes, converted in pieces where the types differ.
void write_data(io::TensorWriter& writer, const Output& tensor, io::DType type) {
  for (const auto& part : tensor.parts) {
    const io::TensorView& view = part.view;
    if (view.dtype == type) {
      writer.write(tensor.name, view.data);
    } else {
      constexpr std::size_t piece = std::size_t{1} << 24;  // numbers
      const std::size_t size = io::dtype_size(view.dtype), count = view.data.size() / size;
      for (std::size_t at = 0; at < count; at += piece) {
        const auto n = static_cast<std::int64_t>(std::min(piece, count - at));
        const at::Tensor source = at::from_blob(const_cast<std::byte*>(view.data.data() + at * size), {n},
                                                at::TensorOptions().dtype(scalar_type(view.dtype)));
        writer.write(tensor.name, raw(source.to(scalar_type(type))));
      }
    }
    part.file->release(view.data);
  }
}

void write_all(io::TensorWriter& writer, const std::vector<Output>& tensors, const std::string& dtype) {
  const auto type = [&](const Output& t) { return target_type(dtype, t.parts.front().view.dtype); };
  for (const auto& t : tensors) {
    scalar_type(t.parts.front().view.dtype);  // weights are floating-point
    writer.declare(t.name, type(t), t.shape);
  }
  for (const auto& t : tensors) write_data(writer, t, type(t));
  writer.commit();
}

// What most of the numbers are, for config.json.
std::string main_dtype(const std::vector<Output>& tensors, const std::string& dtype) {
  std::uint64_t most = 0;
  io::DType of = io::DType::f32;
  for (const auto& t : tensors) {
    std::uint64_t numbers = 0;
    for (const auto& part : t.parts) numbers += part.view.data.size() / io::dtype_size(part.view.dtype);
    if (t.name != hash_tables_name && numbers > most) {
      most = numbers;
      of = target_type(dtype, t.parts.front().view.dtype);
    }
  }
  return of == io::DType::bf16 ? "bfloat16" : of == io::DType::f16 ? "float16" : of == io::DType::f64 ? "float64" : "float32";
}

bool is_buffer(std::string_view name) {
  return name.find("rope") != name.npos || name.find("inv_freq") != name.npos;
}

// One part of Meta's list of hash tables.
Output hash_table(const StoredTensor& fused, std::size_t table, std::size_t tables) {
  Output out{hash_table_to_meta(table), {fused.shape[0] / static_cast<std::int64_t>(tables), fused.shape[1]}, {}};
  if (fused.parts.size() == tables) {
    out.parts = {fused.parts[table]};
  } else {
    StoredTensor::Part part = fused.parts.front();
    const std::size_t bytes = part.view.data.size() / tables;
    part.view.shape = out.shape;
    part.view.data = part.view.data.subspan(table * bytes, bytes);
    out.parts = {part};
  }
  return out;
}

class Converter {
 public:
  Converter(const ConvertConfig& config, Reporter& reporter)
      : c_(config), reporter_(reporter), model_(open_stored(config.input, config.entropy_model)) {
    check_complete();
    if (c_.to != "hf") leave_out_heads();
  }

  int run() {
    const Json json = with_context("--to " + c_.to, [&] { return c_.to == "hf" ? hf_config() : meta_config(); });
    if (c_.dry_run) {
      reporter_.info(cat("would write ", model_.tensors.size(), " tensors to ", c_.output));
      return 0;
    }
    StagedFolder folder(c_.output, c_.force);
    if (c_.to == "hf") write_hf(folder.path(), json);
    else write_meta(folder.path(), json);
    folder.commit();
    reporter_.info(cat(c_.output, ": ", model_.tensors.size(), " tensors"));
    return 0;
  }

 private:
  const BltConfig* blt() const { return std::get_if<BltConfig>(&model_.config); }
  const ByteLmConfig* byte_lm() const { return std::get_if<ByteLmConfig>(&model_.config); }

  // Names, shapes and the absence of others, as when it is loaded; no weight is read.
  void check_complete() {
    if (blt()) load_blt(c_.input, {.entropy_model = c_.entropy_model, .check_only = true});
    else load_byte_lm(c_.input, {.check_only = true});
  }

  void leave_out_heads() {
    const auto count = std::erase_if(model_.tensors, [](const auto& t) { return t.first.starts_with(heads_prefix); });
    if (count > 0) reporter_.warn(cat("the prediction heads from the second on are left out: --to ", c_.to, " has no place for them"));
  }

  std::vector<Output> heads() const {
    std::vector<Output> out;
    for (const auto& [name, tensor] : model_.tensors) {
      if (name.starts_with(heads_prefix)) out.push_back({name, tensor.shape, tensor.parts});
    }
    return out;
  }

  // All but the heads.
  std::vector<Output> outputs(bool patcher, bool meta) const {
    std::vector<Output> out;
    for (const auto& [name, tensor] : model_.tensors) {
      if (is_buffer(name) || name.starts_with(heads_prefix) || name.starts_with(patcher_prefix) != patcher) continue;
      if (meta && name == hash_tables_name) {
        const std::size_t tables = blt()->hash_group_sizes.size() * static_cast<std::size_t>(blt()->hash_functions);
        for (std::size_t t = 0; t < tables; ++t) out.push_back(hash_table(tensor, t, tables));
        continue;
      }
      Output o{name, tensor.shape, tensor.parts};
      if (meta && patcher) o.name = byte_lm_name_to_meta(name.substr(patcher_prefix.size()));
      else if (meta) o.name = byte_lm() ? byte_lm_name_to_meta(name) : blt_name_to_meta(name);
      out.push_back(std::move(o));
    }
    return out;
  }

  // transformers gives cross-attention the local models' heads (spec 1.6).
  Json hf_config() const {
    if (byte_lm()) return to_json(*byte_lm());
    const auto same = [](const TransformerConfig& a, const TransformerConfig& b) { return a.heads == b.heads && a.kv_heads == b.kv_heads; };
    if (!same(blt()->encoder, blt()->encoder_cross_shape()) || !same(blt()->decoder, blt()->decoder_cross_shape())) {
      throw usage_error("the Hugging Face layout cannot say that cross-attention has other heads than the local models");
    }
    return to_json(*blt());
  }

  Json meta_config() const {
    if (byte_lm()) return byte_lm_to_meta(*byte_lm());
    if (blt()->patcher) byte_lm_to_meta(*blt()->patcher);  // can it be said?
    return blt_to_meta(*blt());
  }

  void write_hf(const std::string& folder, Json json) const {
    std::vector<Output> tensors = outputs(false, false);
    for (auto& t : outputs(true, false)) tensors.push_back(std::move(t));
    json["dtype"] = main_dtype(tensors, c_.dtype);
    write_file(folder + "/config.json", dump_json(json, 2) + "\n");
    write_safetensors(folder + "/model.safetensors", tensors);
    if (const auto extra = heads(); !extra.empty()) write_safetensors(folder + heads_file, extra);
  }

  void write_safetensors(const std::string& path, const std::vector<Output>& tensors) const {
    io::SafetensorsWriter writer(path);
    writer.metadata("format", "pt");
    write_all(writer, tensors, c_.dtype);
  }

  // params.json as Meta's TrainArgs has it; what is not said there has a default.
  static Json params(Json model, Json entropy_model, const Json& patcher, const std::string& dtype) {
    const bool entropy = !entropy_model.is_null();
    return {{"name", "blt"},
            {"data", {{"tokenizer_args", {{"name", "blt"}, {"init_kwargs", {{"bpe_delim", false}}}}}, {"patcher_args", patcher}}},
            {"model", std::move(model)},
            {"entropy_model", std::move(entropy_model)},
            {"train_entropy_model", entropy},
            {"distributed", {{"fsdp_type", "no_shard"}, {"model_dtype", dtype == "bfloat16" ? "bf16" : dtype == "float16" ? "fp16" : "fp32"}}}};
  }

  // An entropy model is trained on bytes (spec 1.4).
  static Json byte_patches() {
    patch::Rules rules;
    rules.scheme = patch::Scheme::byte;
    return patcher_to_meta(rules);
  }

  void write_pth(const std::string& folder, const std::vector<Output>& tensors, const Json& json) const {
    write_file(folder + "/params.json", dump_json(json, 1) + "\n");
    io::TorchWriter writer(folder + "/consolidated.pth", "model");
    write_all(writer, tensors, c_.dtype);
  }

  // Meta's loader of an entropy model sets these itself (spec 1.3).
  void warn_fixed(const ByteLmConfig& lm) const {
    if (lm.semantics.window != 512 || lm.transformer.rope_theta != 10000) {
      reporter_.warn("Meta's code loads any entropy model with a window of 512 and rope_theta 10000; this one has others");
    }
  }

  void write_meta(const std::string& folder, const Json& json) const {
    const std::vector<Output> tensors = outputs(false, true);
    const std::string dtype = main_dtype(tensors, c_.dtype);
    const Json patcher = blt() ? patcher_to_meta(blt()->patching) : byte_patches();
    if (c_.to == "meta-hub") {
      write_file(folder + "/config.json", dump_json({{"args", json}}, 2) + "\n");
      write_safetensors(folder + "/model.safetensors", tensors);
    } else {
      write_pth(folder, tensors, byte_lm() ? params(nullptr, json, patcher, dtype) : params(json, nullptr, patcher, dtype));
    }
    if (byte_lm()) warn_fixed(*byte_lm());
    if (!blt() || !blt()->patcher) return;
    warn_fixed(*blt()->patcher);
    fs::create_directory(folder + "/entropy_model");
    const std::vector<Output> lm = outputs(true, true);
    write_pth(folder + "/entropy_model", lm,
              params(nullptr, byte_lm_to_meta(*blt()->patcher), byte_patches(), main_dtype(lm, c_.dtype)));
  }

  const ConvertConfig& c_;
  Reporter& reporter_;
  StoredModel model_;
};

}  // namespace

int convert(const ConvertConfig& config, Reporter& reporter) {
  check_output_path(config.output, config.force);
  return Converter(config, reporter).run();
}

}  // namespace blt::model
