// SPDX-License-Identifier: MIT
// Model folders into memory, and out again in the Hugging Face layout.
#pragma once

#include <memory>
#include <string>

#include "blt/config/model_options.h"
#include "blt/model/models.h"
#include "blt/model/stored.h"

namespace blt::model {

struct LoadOptions {
  at::Device device = at::kCPU;
  std::string compat = {};         // see apply_compat()
  std::string entropy_model = {};  // a BLT's patcher from another folder
  bool map_hash_tables = false;    // leave them in their file, in its type
  bool writable = false;           // for training: every weight in memory of its own
  bool check_only = false;         // names, shapes and types; the model gets no weights
};

LoadOptions load_options(const ModelOptions& options, at::Device device);

// Folders of every layout (stored.h). Weights become float32 on the device; on the CPU, float32 weights stay mapped unless
// they must be writable. Errors: input, naming missing, unexpected and mis-shaped tensors.
std::unique_ptr<ByteLm> load_byte_lm(const std::string& folder, const LoadOptions& options = {});
std::unique_ptr<Blt> load_blt(const std::string& folder, const LoadOptions& options = {});
// The byte LM of a folder of either kind: itself without heads from 2 on, or the patcher inside a BLT (input error without one).
std::unique_ptr<ByteLm> load_entropy_model(const std::string& folder, const LoadOptions& options = {});

// Writes config.json, model.safetensors and, for a model with heads from 2 on, heads.safetensors into an existing folder (a
// StagedFolder's).
void save(ByteLm& lm, const std::string& folder);
void save(Blt& blt, const std::string& folder);

// XXH3-128 over names, shapes and float32 bytes of all parameters: which entropy model made these shards?
std::string weights_digest(ByteLm& lm);

}  // namespace blt::model
