// SPDX-License-Identifier: MIT
// What the Torch-free half of the toolkit knows of models: libblt_nn is opened on first use.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "blt/base/json.h"
#include "blt/base/reporter.h"
#include "blt/config/model_options.h"
#include "blt/patch/rules.h"

namespace blt {

struct TrainConfig;
struct GenerateConfig;
struct ScoreConfig;
struct ConvertConfig;
struct InitFromConfig;

// Next-byte entropies of a byte LM (or the patcher inside a BLT).
class EntropySource {
 public:
  virtual ~EntropySource() = default;
  // documents[i]: ids, BOS first; out[i]: entropies in nats, one a position. Documents never see each other.
  // Long documents are carried over internal cuts. Safe from one thread at a time.
  virtual std::vector<std::vector<float>> entropies(std::span<const std::vector<patch::TokenId>> documents) = 0;
  virtual std::string digest() const = 0;  // of the weights, 32 hex digits
  virtual std::uint64_t batch_bytes() const = 0;  // a good amount of positions to hand over in one call
};

// Log-likelihoods and internals of a byte LM or a BLT.
class Scorer {
 public:
  virtual ~Scorer() = default;
  struct Result {
    std::vector<float> entropies;              // [T] nats; empty for a BLT without patcher
    std::vector<std::uint32_t> patch_lengths;  // sum T + 1 (with the next byte); empty for a byte LM
    std::vector<float> logits;                 // [T, 260] row-major, when asked for
    std::vector<float> losses;                 // [T - 1] nats: -log p(ids[t+1] | ids[..t])
  };
  virtual std::vector<Result> score(std::span<const std::vector<patch::TokenId>> documents, bool keep_logits) = 0;
  virtual std::string kind() const = 0;  // "byte_lm", "blt"
  virtual Json facts() const = 0;        // parameters, shapes, threshold, ...
  virtual std::uint64_t batch_bytes() const = 0;
};

// Everything that needs Torch, behind one table.
struct NeuralNetworks {
  virtual ~NeuralNetworks() = default;
  virtual std::unique_ptr<EntropySource> open_entropy_source(const std::string& model, const ModelOptions& options) = 0;
  virtual std::unique_ptr<Scorer> open_scorer(const std::string& model, const ModelOptions& options) = 0;
  virtual int train(const TrainConfig& config, Reporter& reporter) = 0;
  virtual int convert(const ConvertConfig& config, Reporter& reporter) = 0;
  virtual int init_from(const InitFromConfig& config, Reporter& reporter) = 0;
  virtual int generate(const GenerateConfig& config, Reporter& reporter) = 0;
  virtual int score(const ScoreConfig& config, Reporter& reporter) = 0;
};

// Opens libblt_nn beside the program or on the library path. Errors: resource, with a hint (built without Torch, ...).
NeuralNetworks& neural_networks();

}  // namespace blt
