// SPDX-License-Identifier: MIT
#include "blt/generate/generate.h"

#include <algorithm>
#include <chrono>

#include "blt/base/error.h"
#include "blt/base/signals.h"
#include "blt/base/units.h"
#include "blt/generate/sampler.h"
#include "blt/generate/stop.h"
#include "choices.h"
#include "display.h"

namespace blt::generate {
namespace {

class Clock {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

SamplerOptions sampler_options(const GenerateConfig& c) {
  return {c.greedy ? 0 : c.temperature, c.top_k, c.top_p, c.min_p, !c.ignore_eos};
}

// Ids that are tried together at most: what the heads can say; from a stale latent as many as hold of late; as many as agreed before a
// place that is looked up.
// Errors: usage.
DraftSources draft_sources(const GenerateConfig& c, const Engine& engine) {
  DraftSources out;
  const bool any = c.speculate == "auto";
  if (!engine.can_verify()) {
    if (c.speculate == "off" || any) return out;
    throw usage_error(cat("--speculate ", c.speculate, ": drafts for this model cannot be verified, its last patch stays open until the text ends"),
                      "--compat meta, or --speculate off");
  }
  const std::int64_t most = c.draft.value_or(20);
  if (c.speculate == "lookup" || any) out.lookup = most;
  if (c.speculate == "heads" || any) out.heads = std::min(most, engine.heads() - 1);
  if (c.speculate == "latent" || (any && engine.can_guess())) out.latent = most;
  return out;
}

}  // namespace

// Bytes on their way out: what may begin a stop string waits, then what is part of a character or
// patch.
class Generator::Stream {
 public:
  Stream(const GenerateConfig& config, const Write& write)
      : matcher_(config.stop), display_(config), write_(write) {}

  // Prompts are no subject of stop strings.
  void prompt(char byte, bool border) { shown_ += display_.push(byte, border); }
  void byte(char byte, bool border) {
    borders_.push_back(border);
    release(matcher_.push(byte));
  }
  void finish() {
    release(matcher_.finish());
    shown_ += display_.finish();
    flush();
  }
  // False when nobody reads any more.
  bool flush() {
    if (open_ && write_ && !shown_.empty()) open_ = write_(shown_);
    shown_.clear();
    return open_;
  }
  bool stopped() const { return matcher_.stopped(); }
  const std::string& text() const { return text_; }
  std::int64_t patches() const {
    return std::count(borders_.begin(),
                      borders_.begin() + static_cast<std::ptrdiff_t>(text_.size()), true);
  }

 private:
  void release(const std::string& bytes) {
    for (const char b : bytes) {
      shown_ += display_.push(b, borders_[text_.size()]);
      text_ += b;
    }
  }

  StopMatcher matcher_;
  Display display_;
  const Write& write_;
  std::string text_, shown_;
  std::vector<bool> borders_;  // of the chosen bytes, the waiting ones included
  bool open_ = true;
};

bool Generator::take_prompt(std::span<const patch::TokenId> ids, std::string_view prompt, Stream& stream) {
  engine_.reset();
  // In pieces, to see a stop signal between them; the exact engine computes all anew for each
  // piece.
  const std::size_t piece = config_.engine == "exact" ? ids.size() : 4096;
  for (std::size_t at = 0; at < ids.size(); at += piece) {
    if (stop_signal()) return false;
    logits_ = engine_.prefill(ids.subspan(at, std::min(piece, ids.size() - at)));
    warn_length();
  }
  if (!config_.echo) return true;
  for (std::size_t i = 0; i < prompt.size(); ++i)
    stream.prompt(prompt[i], engine_.starts_patch(static_cast<std::int64_t>(i) + 1));
  return stream.flush();
}

std::string Generator::run(std::span<const patch::TokenId> prompt, std::uint64_t seed, const DraftSources& sources, Stream& stream,
                           Completion& out) {
  Choices choices(engine_, prompt, logits_, Sampler(sampler_options(config_), seed), constraint_, sources);
  while (out.steps < config_.max_bytes && !choices.complete()) {
    if (stop_signal()) return "signal";
    const std::int64_t position = choices.position();
    const patch::TokenId id = choices.next(config_.max_bytes - out.steps);
    out.drafts = choices.counts();
    if (id == patch::eos_id) return "eos";
    warn_length();
    stream.byte(static_cast<char>(id - patch::byte_offset), engine_.starts_patch(position));
    ++out.steps;
    if (stream.stopped()) return "stop";
    if (!stream.flush()) return "closed";
    tell_progress(out, false);
  }
  return choices.complete() ? "constraint" : "length";
}

void Generator::warn_length() {
  if (warned_) return;
  const std::string warning = engine_.too_long();
  if (warning.empty()) return;
  warned_ = true;
  reporter_.warn(warning);
}

void Generator::tell_progress(const Completion& completion, bool finished) {
  if (!config_.json && config_.output.empty()) return;  // the text itself shows it
  Progress progress;
  progress.stage = "generate";
  progress.done = static_cast<std::uint64_t>(completion.steps);
  progress.total = static_cast<std::uint64_t>(config_.max_bytes);
  progress.finished = finished;
  reporter_.progress(progress);
}

Completion Generator::complete(std::string_view prompt, std::uint64_t seed, const Write& write) {
  const DraftSources sources = draft_sources(config_, engine_);
  Completion out;
  Stream stream(config_, write);
  const Clock prompt_clock;
  const auto ids = patch::encode(prompt, true, false);
  const bool ready = take_prompt(ids, prompt, stream);
  out.prompt_seconds = prompt_clock.seconds();
  const Clock clock;
  out.finish_reason = ready ? run(ids, seed, sources, stream, out) : stop_signal() ? "signal" : "closed";
  out.seconds = clock.seconds();
  stream.finish();
  out.text = stream.text();
  out.patches = stream.patches();
  tell_progress(out, true);
  return out;
}

}  // namespace blt::generate
