// SPDX-License-Identifier: MIT
// Whole documents through a model: entropies, patch lengths, logits and losses, however long they are.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "blt/model/checkpoint.h"
#include "blt/patch/entropy_source.h"

namespace blt::model {

// Entropies in nats of every position of every document. Long documents are cut with as much context before each cut as
// the layers' windows reach, so that every value is that of the whole document.
std::vector<std::vector<float>> entropies(ByteLm& lm, std::span<const std::vector<patch::TokenId>> documents, const Pass& pass,
                                          at::Device device);

// Keeps a model's matrices in bfloat16: products of that type give the same and round no weights.
void round_matrices(ByteLm& lm);

// Errors: input, for NaN among a model's outputs.
void require_numbers(std::span<const float> values);

// dtype: auto (float32), float32, bfloat16, int8 (weights; CPU only). On the CPU weights are packed anew, unless the hardware multiplies
// bfloat16 and is asked to. Errors: usage, for int8 on another device.
std::unique_ptr<EntropySource> make_entropy_source(std::unique_ptr<ByteLm> lm, const std::string& dtype, at::Device device);
// compat "meta-chunk": documents in chunks of 8192 positions that see nothing of each other.
std::unique_ptr<EntropySource> open_entropy_source(const std::string& folder, const ModelOptions& options);
std::unique_ptr<Scorer> open_scorer(const std::string& folder, const ModelOptions& options);
// As above with a model already in memory.
std::unique_ptr<Scorer> make_scorer(std::unique_ptr<Blt> blt, const Pass& pass, at::Device device);
std::unique_ptr<Scorer> make_scorer(std::unique_ptr<ByteLm> lm, const Pass& pass, at::Device device);

}  // namespace blt::model
