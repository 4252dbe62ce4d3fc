// SPDX-License-Identifier: MIT
#include "blt/train/optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/square.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "blt/base/error.h"

namespace blt::train {

void Optimizer::add(const std::string& name, at::Tensor parameter, double rate) {
  slots_.push_back({name, parameter, at::zeros_like(parameter), at::zeros_like(parameter), nullptr, rate});
  parameter.requires_grad_(true);
}

void Optimizer::add_hash_tables(const std::string& name, nn::HashTables& tables) {
  tables.trainable = true;
  slots_.push_back({name, tables.weight, at::zeros_like(tables.weight), at::zeros_like(tables.weight), &tables, config_.hash_learning_rate});
}

double Optimizer::step(double learning_rate, double scale) {
  ++steps_;
  std::vector<nn::RowGradient> rows(slots_.size());
  std::vector<at::Tensor> gradients(slots_.size());
  double squares = 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].tables) {
      rows[i] = nn::take_gradient(*slots_[i].tables);
      gradients[i] = rows[i].values;
    } else {
      gradients[i] = slots_[i].parameter.grad();
    }
    if (gradients[i].defined()) squares += gradients[i].square().sum().item<double>();
  }
  const double norm = std::sqrt(squares) * scale;
  if (!std::isfinite(norm)) return norm;  // the caller tells; no weight is touched
  const double clip = config_.clip > 0 && norm > config_.clip ? config_.clip / norm : 1;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (!gradients[i].defined()) continue;
    const bool matrix = slot.parameter.dim() > 1;
    // Hash rows are rarely seen: decay would only follow how often.
    const nn::AdamWStep s{learning_rate * slot.rate, config_.beta1, config_.beta2, config_.eps,
                          matrix && !slot.tables ? config_.weight_decay : 0, scale * clip, steps_};
    at::Tensor parameter = slot.parameter.detach();
    nn::adamw(parameter, gradients[i].contiguous(), slot.moment1, slot.moment2, s, rows[i].rows);
    if (!slot.tables) slot.parameter.mutable_grad() = at::Tensor();
  }
  return norm;
}

void Optimizer::save(const std::string& path) const {
  io::SafetensorsWriter writer(path);
  const auto each = [&](auto&& f) {
    for (const auto& slot : slots_) {
      f(slot.name + ".moment1", slot.moment1);
      f(slot.name + ".moment2", slot.moment2);
    }
  };
  each([&](const std::string& name, const at::Tensor& t) { writer.declare(name, io::DType::f32, t.sizes().vec()); });
  each([&](const std::string& name, const at::Tensor& t) {
    const at::Tensor host = t.cpu();
    writer.write(name, {static_cast<const std::byte*>(host.data_ptr()), host.nbytes()});
  });
  writer.commit();
}

void Optimizer::load(const std::string& path, std::int64_t steps) {
  const io::SafetensorsFile file(path);
  const auto take = [&](const std::string& name, at::Tensor& to) {
    const io::TensorView& view = file.at(name);
    if (view.dtype != io::DType::f32 || at::IntArrayRef(view.shape) != to.sizes()) {
      throw input_error(cat(path, ": ", name, " has another shape or type than this run"));
    }
    to.copy_(at::from_blob(const_cast<std::byte*>(view.data.data()), view.shape, at::TensorOptions().dtype(at::kFloat)));
  };
  for (auto& slot : slots_) {
    take(slot.name + ".moment1", slot.moment1);
    take(slot.name + ".moment2", slot.moment2);
  }
  steps_ = steps;
}

double scheduled_rate(const TrainConfig& c, std::int64_t step, std::int64_t total) {
  if (step < c.warmup) return c.learning_rate * static_cast<double>(step + 1) / static_cast<double>(c.warmup);
  const double span = static_cast<double>(std::max<std::int64_t>(1, total - c.warmup));
  const double progress = std::min(1.0, static_cast<double>(step - c.warmup) / span);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return c.learning_rate * (c.min_learning_rate + (1 - c.min_learning_rate) * cosine);
}

}  // namespace blt::train
