// SPDX-License-Identifier: MIT
#include "blt/train/trainer.h"

#include <ATen/ops/zeros.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/signals.h"
#include "blt/base/threads.h"
#include "blt/base/units.h"
#include "blt/train/optimizer.h"
#include "run_folder.h"
#include "trainee.h"

namespace blt::train {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

config::Fields fields_of(TrainConfig& c) {
  const std::string kind = c.kind;
  config::Fields fields = kind == "entropy" ? config::describe_train_entropy(c) : config::describe_train_blt(c);
  return fields;
}

class Trainer {
 public:
  Trainer(const TrainConfig& config, Reporter& reporter)
      : c_(config), reporter_(reporter), device_(nn::open_device(config.device)), trainee_(make_trainee(c_, device_, reporter)), optimizer_(c_) {
    pass_.type = nn::compute_type(c_.dtype, device_);
    if (c_.sequence_length == 0) c_.sequence_length = trainee_->trained_length();
    trainee_->add_parameters(optimizer_);
    model_ = trainee_->headed(pass_);
    weights_ = {1};
    for (double weight = c_.mtp_weight; std::ssize(weights_) < model_.heads; weight *= c_.mtp_decay) weights_.push_back(weight);
    window_.resize(weights_.size());
    plan_steps();
  }

  int run() {
    tell_plan();
    Loader loader(trainee_->documents(), c_, c_.sequence_length);  // reads data before any output is touched
    if (c_.dry_run) return 0;
    RunFolder folder(c_.output, c_.force, c_.resume);
    std::int64_t step = 0;
    if (c_.resume) step = resume(folder, loader);
    start_ = Clock::now();
    started_bytes_ = bytes_;
    int signal = 0;
    while (step < total_steps_ && !(signal = stop_signal())) {
      train_step(loader, step);
      ++step;
      const bool last = step == total_steps_;
      if (step % c_.log_every == 0 || last) log(folder, step);
      if (last || (c_.eval_every > 0 && step % c_.eval_every == 0)) evaluate_now(folder, step);
      if (!last && c_.save_every > 0 && step % c_.save_every == 0) save(folder, step);
      show_progress(step, last);
    }
    save(folder, step);
    if (signal) {
      reporter_.info(cat("stopped by signal ", signal, " after step ", step, "; --resume goes on from here"));
      return 128 + signal;
    }
    return 0;
  }

 private:
  void plan_steps() {
    const std::int64_t per_step = std::max(c_.batch_bytes, c_.sequence_length) * c_.accumulate;
    std::int64_t bytes = c_.train_bytes;
    if (bytes == 0) {
      const auto stream = trainee_->documents()(false);
      TokenDocument document;
      while (stream->next(document)) bytes += static_cast<std::int64_t>(document.ids.size());
      bytes = static_cast<std::int64_t>(static_cast<double>(bytes) * c_.epochs);
    }
    if (bytes == 0) throw input_error("there are no documents to train on");
    total_steps_ = std::max<std::int64_t>(1, bytes / per_step);
    planned_bytes_ = total_steps_ * per_step;
  }

  void tell_plan() {
    reporter_.info(cat(trainee_->name(), ": ", format_count(static_cast<double>(trainee_->parameters())), " parameters, ",
                       model_.heads > 1 ? cat(model_.heads, " heads, ") : "", total_steps_, " steps of ", format_bytes(static_cast<double>(planned_bytes_ / total_steps_)), ", ",
                       pass_.type == at::kBFloat16 ? "bfloat16" : "float32", " products, seed ", c_.seed));
  }

  void train_step(Loader& loader, std::int64_t step) {
    double nats = 0, all_nats = 0;
    std::int64_t targets = 0;
    for (std::int64_t i = 0; i < c_.accumulate; ++i) {
      const std::vector<Piece> pieces = loader.next();
      std::vector<model::Segment> segments;
      for (const auto& piece : pieces) segments.push_back(piece.segment());
      const model::Batch batch = model::make_batch(segments, trainee_->semantics(), trainee_->cross_k(), device_);
      // Summed losses; the optimiser divides by the first head's targets of the whole step.
      const std::vector<HeadLoss> losses = backward(model_, batch, weights_);
      for (std::size_t head = 0; head < losses.size(); ++head) {
        window_[head].nats += losses[head].nats;
        window_[head].targets += losses[head].targets;
        all_nats += losses[head].nats;
      }
      nats += losses[0].nats;
      targets += batch.targets;
      bytes_ += batch.bytes;
    }
    rate_ = scheduled_rate(c_, step, total_steps_);
    norm_ = optimizer_.step(rate_, 1.0 / static_cast<double>(std::max<std::int64_t>(1, targets)));
    if (!std::isfinite(all_nats) || !std::isfinite(norm_)) {
      throw resource_error(cat("the loss is not finite at step ", step + 1), "a lower --lr or --clip helps; --resume goes on from the last checkpoint");
    }
    const double bits = nats / std::numbers::ln2 / static_cast<double>(targets);
    smooth_ = smooth_ == 0 ? bits : 0.95 * smooth_ + 0.05 * bits;
  }

  void log(RunFolder& folder, std::int64_t step) {
    const double seconds = since(start_);
    Json line = {{"step", step},
                 {"bytes", bytes_},
                 {"bits_per_byte", window_[0].bits()},
                 {"learning_rate", rate_},
                 {"gradient_norm", norm_},
                 {"seconds", earlier_seconds_ + seconds},
                 {"bytes_per_second", static_cast<double>(bytes_ - started_bytes_) / std::max(1e-9, seconds)}};
    if (model_.heads > 1) {
      for (const HeadLoss& head : window_) line["head_bits_per_byte"].push_back(head.bits());
    }
    folder.add_metrics(line);
    std::fill(window_.begin(), window_.end(), HeadLoss{});
  }

  void evaluate_now(RunFolder& folder, std::int64_t step) {
    if (c_.held_out == 0 || c_.eval_bytes == 0) return;
    const auto stream = trainee_->documents()(true);
    const std::vector<HeldOut> result = evaluate(*stream, model_, trainee_->semantics(), trainee_->cross_k(), c_.sequence_length,
                                                 c_.eval_bytes, device_);
    if (result[0].loss.targets == 0) return;
    held_out_ = result[0].loss.bits();
    Json line = {{"step", step}, {"bytes", bytes_}, {"held_out_bits_per_byte", held_out_}, {"held_out_bytes", result[0].loss.targets}};
    std::string heads;
    if (model_.heads > 1) {
      for (std::size_t i = 0; i < result.size(); ++i) {
        line["held_out_head_bits_per_byte"].push_back(result[i].loss.bits());
        line["held_out_head_acceptance"].push_back(result[i].acceptance());
        heads += cat(i == 0 ? "; heads " : ", ", format_fixed(result[i].loss.bits(), 3), " (", format_fixed(100 * result[i].acceptance(), 1), " % right)");
      }
    }
    folder.add_metrics(line);
    reporter_.info(cat("step ", step, " of ", total_steps_, ": held-out ", format_fixed(held_out_, 4), " bits per byte, training ",
                       format_fixed(smooth_, 4), heads));
  }

  void show_progress(std::int64_t step, bool last) {
    Progress p;
    p.stage = "train";
    p.done = static_cast<std::uint64_t>(bytes_);
    // Batches are a little short of batch_bytes: what is left is told by steps.
    p.total = static_cast<std::uint64_t>(static_cast<double>(bytes_) * static_cast<double>(total_steps_) / static_cast<double>(step));
    p.fields = {{"step", std::to_string(step)}, {"bits per byte", format_fixed(smooth_, 3)}};
    if (held_out_ > 0) p.fields.emplace_back("held-out", format_fixed(held_out_, 3));
    p.finished = last;
    reporter_.progress(p);
  }

  void save(RunFolder& folder, std::int64_t step) {
    TrainConfig options = c_;
    folder.save(step, [&](const std::string& path) {
      trainee_->save(path);
      optimizer_.save(path + "/optimizer.safetensors");
      const Json state = {{"version", 1},
                          {"step", step},
                          {"bytes", bytes_},
                          {"seconds", earlier_seconds_ + since(start_)},
                          {"smooth", smooth_},
                          {"options", config::to_json(fields_of(options))}};
      write_file(path + "/trainer.json", dump_json(state, 2) + "\n");
    });
  }

  std::int64_t resume(RunFolder& folder, Loader& loader) {
    const std::string path = *folder.latest();
    const Json state = read_json_file(path + "/trainer.json");
    TrainConfig options = c_;
    const auto differences = config::differences(fields_of(options), state.value("options", Json::object()));
    if (!differences.empty()) {
      std::string list;
      for (const auto& difference : differences) list += (list.empty() ? "" : "; ") + difference;
      throw usage_error(cat("--resume: the run in ", c_.output, " has other options: ", list));
    }
    const std::int64_t step = state.at("step").get<std::int64_t>();
    trainee_->load(path);
    optimizer_.load(path + "/optimizer.safetensors", step);
    bytes_ = state.at("bytes").get<std::int64_t>();
    smooth_ = state.value("smooth", 0.0);
    earlier_seconds_ = state.value("seconds", 0.0);
    folder.trim_metrics(step);
    for (std::int64_t i = 0; i < step * c_.accumulate; ++i) loader.next();  // the same batches follow
    reporter_.info(cat("resumed after step ", step));
    return step;
  }

  TrainConfig c_;
  Reporter& reporter_;
  at::Device device_;
  std::unique_ptr<Trainee> trainee_;
  Optimizer optimizer_;
  model::Pass pass_;
  HeadedModel model_;
  std::vector<double> weights_;   // of the heads' losses
  std::vector<HeadLoss> window_;  // since the last line of metrics
  std::int64_t total_steps_ = 0, planned_bytes_ = 0, bytes_ = 0, started_bytes_ = 0;
  double rate_ = 0, norm_ = 0, smooth_ = 0, held_out_ = 0, earlier_seconds_ = 0;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

int run(const TrainConfig& config, Reporter& reporter) {
  nn::set_threads(static_cast<int>(config.threads));
  if (!config.resume) check_output_path(config.output, config.force);
  return Trainer(config, reporter).run();
}

}  // namespace blt::train
