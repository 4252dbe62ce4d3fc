// SPDX-License-Identifier: MIT
// Model folders in the Hugging Face layout: config.json and model.safetensors (or its sharded index form).
#pragma once

#include <memory>
#include <string>

#include "blt/model/models.h"

namespace blt::model {

enum class Kind { byte_lm, blt };

// By config.json. Errors: input (no such folder, not a model of this toolkit's kinds).
Kind model_kind(const std::string& folder);

// Errors: input, naming missing, unexpected and mis-shaped tensors. Weights become float32 on the device.
std::unique_ptr<ByteLm> load_byte_lm(const std::string& folder, at::Device device);
std::unique_ptr<Blt> load_blt(const std::string& folder, at::Device device);
// The byte LM of a folder of either kind: itself, or the patcher inside a BLT (input error without one).
std::unique_ptr<ByteLm> load_entropy_model(const std::string& folder, at::Device device);

// Writes config.json and model.safetensors into an existing folder (a StagedFolder's).
void save(ByteLm& lm, const std::string& folder);
void save(Blt& blt, const std::string& folder);

// XXH3-128 over names, shapes and float32 bytes of all parameters: which entropy model made these shards?
std::string weights_digest(ByteLm& lm);

}  // namespace blt::model
