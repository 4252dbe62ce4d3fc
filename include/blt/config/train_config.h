// SPDX-License-Identifier: MIT
// Options of blt-train.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "blt/config/fields.h"

namespace blt {

struct TrainConfig {
  std::string kind;  // "entropy" or "blt": set by the command
  std::vector<std::string> data;
  std::string output;
  std::string preset = "tiny";
  std::string init;           // a model folder to start from instead of a preset's fresh weights
  std::string entropy_model;  // blt: folder; empty: what the shards' manifest says

  // documents (entropy)
  std::string format = "auto", field, on_error = "fail";
  bool split_lines = false;

  double held_out = 0.05;
  std::int64_t eval_bytes = 200'000;
  std::int64_t sequence_length = 0;  // bytes; 0: the preset's
  std::int64_t batch_bytes = 8192;
  std::int64_t accumulate = 1;
  std::int64_t train_bytes = 0;  // 0: one epoch
  double epochs = 1;
  std::int64_t shuffle_buffer = 64 << 20;

  double learning_rate = 2e-3, min_learning_rate = 0.1;
  std::int64_t warmup = 100;
  double hash_learning_rate = 1, latent_learning_rate = 1;  // multiples of learning_rate
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1, clip = 1.0;

  std::optional<std::int64_t> window, hash_rows;

  // Multi-token prediction: heads in all (absent: those of init, else 1) and their kind, "linear" or "layer". Head i from 2 on
  // weighs mtp_weight * mtp_decay^(i - 2) in the loss.
  std::optional<std::int64_t> mtp;
  std::optional<std::string> mtp_heads;
  double mtp_weight = 1, mtp_decay = 1;

  std::int64_t eval_every = 250, save_every = 1000, log_every = 10;
  std::int64_t seed = 1;
  std::int64_t threads = 0;
  std::string device = "cpu", dtype = "auto";
  bool force = false, resume = false, dry_run = false;
};

namespace config {
Fields describe_train_entropy(TrainConfig& config);
Fields describe_train_blt(TrainConfig& config);
}  // namespace config

}  // namespace blt
