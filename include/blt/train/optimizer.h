// SPDX-License-Identifier: MIT
// AdamW over a model's parameters; hash tables are updated only in the rows that a batch used.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "blt/config/train_config.h"
#include "blt/io/safetensors.h"
#include "blt/nn/functional.h"

namespace blt::train {

class Optimizer {
 public:
  explicit Optimizer(const TrainConfig& config) : config_(config) {}
  // rate: a multiple of the learning rate (a parameter group).
  void add(const std::string& name, at::Tensor parameter, double rate = 1);
  void add_hash_tables(const std::string& name, nn::HashTables& tables);

  // Clips by the global norm, updates, clears the gradients; returns the norm before clipping (after `scale`).
  double step(double learning_rate, double scale);
  std::int64_t steps() const { return steps_; }

  void save(const std::string& path) const;
  void load(const std::string& path, std::int64_t steps);  // errors: input

 private:
  struct Slot {
    std::string name;
    at::Tensor parameter, moment1, moment2;
    nn::HashTables* tables = nullptr;
    double rate = 1;
  };
  const TrainConfig& config_;
  std::vector<Slot> slots_;
  std::int64_t steps_ = 0;
};

// Linear warm-up, then a cosine down to min_learning_rate of the peak at `total` steps (spec 8.4). step counts from 0.
double scheduled_rate(const TrainConfig& config, std::int64_t step, std::int64_t total);

}  // namespace blt::train
