// SPDX-License-Identifier: MIT
// What the trainer needs of a model: data, forward, parameters, files.
#pragma once

#include <memory>
#include <string>

#include "blt/config/train_config.h"
#include "blt/model/models.h"
#include "blt/train/loader.h"
#include "blt/train/losses.h"
#include "blt/train/optimizer.h"

namespace blt::train {

class Trainee {
 public:
  virtual ~Trainee() = default;
  virtual std::string name() const = 0;
  virtual std::int64_t parameters() const = 0;
  virtual std::int64_t trained_length() const = 0;  // bytes of a piece
  virtual const model::Semantics& semantics() const = 0;
  virtual std::int64_t cross_k() const = 0;  // 0 for a byte LM
  virtual OpenStream documents() const = 0;
  virtual void add_parameters(Optimizer& optimizer) = 0;
  virtual HeadedModel headed(const model::Pass& pass) = 0;
  virtual void save(const std::string& folder) = 0;
  virtual void load(const std::string& folder) = 0;
};

// A fresh model by the preset and seed. Errors: usage, input.
std::unique_ptr<Trainee> make_trainee(const TrainConfig& config, at::Device device, Reporter& reporter);

}  // namespace blt::train
