// SPDX-License-Identifier: MIT
// Model folders of every layout, as they are on disk: a config, and memory-mapped tensors under their Hugging Face names.
//   hugging_face        config.json of model_type blt or blt_patcher; model.safetensors or its sharded index form;
//                       heads.safetensors, where config.json tells of prediction heads
//   meta_hub            config.json {"args": ...}; model.safetensors; entropy_model/
//   meta_consolidated   params.json; consolidated.pth; entropy_model/ inside or beside
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "blt/base/files.h"
#include "blt/io/tensor.h"
#include "blt/model/config.h"

namespace blt::model {

enum class Kind { byte_lm, blt };
enum class Layout { hugging_face, meta_hub, meta_consolidated };

// Parts lie one after the other along the first dimension: Meta keeps each hash table apart.
struct StoredTensor {
  struct Part {
    io::TensorView view;
    std::shared_ptr<MappedFile> file;
  };
  std::vector<std::int64_t> shape;
  std::vector<Part> parts;

  io::DType dtype() const { return parts.front().view.dtype; }
};

struct StoredModel {
  std::string folder;
  Layout layout = Layout::hugging_face;
  std::variant<ByteLmConfig, BltConfig> config;
  std::map<std::string, StoredTensor, std::less<>> tensors;

  Kind kind() const { return std::holds_alternative<BltConfig>(config) ? Kind::blt : Kind::byte_lm; }
};

// entropy_model: a folder of any layout whose byte LM becomes the BLT's patcher; empty: the one inside, or Meta's place for
// it. Errors: input (no such folder, another architecture, damaged files, a sharded index that lies).
StoredModel open_stored(const std::string& folder, const std::string& entropy_model = {});

// By the config alone. Errors: input.
Kind model_kind(const std::string& folder);

// The files of a Hugging Face folder's weights. Errors: input.
std::map<std::string, StoredTensor, std::less<>> open_safetensors(const std::string& folder);

}  // namespace blt::model
