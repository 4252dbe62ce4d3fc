// SPDX-License-Identifier: MIT
// Rows of prompts: what they say, and many at once.
#include <atomic>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "blt/base/error.h"
#include "blt/base/random.h"
#include "blt/base/signals.h"
#include "blt/generate/generate.h"
#include "blt/patch/json_lines.h"

namespace blt::generate {
namespace {

std::string text_of(const Json& row, const char* name) {
  if (!row[name].is_string()) throw input_error(cat(name, " is no string"));
  return row[name].get<std::string>();
}

// Threads that take the rows one after the other. Results wait until all before them are taken.
class Rows {
 public:
  Rows(const std::vector<PromptRow>& rows, const std::vector<std::unique_ptr<Engine>>& engines,
       const GenerateConfig& config, std::uint64_t seed, Reporter& reporter)
      : rows_(rows), config_(config), seed_(seed), warnings_(*this, reporter), working_(engines.size()) {
    for (const auto& engine : engines) threads_.emplace_back([this, e = engine.get()] { work(*e); });
  }
  ~Rows() {
    stopped_ = true;
    for (auto& thread : threads_) thread.join();
  }

  // The text of row `number`; nothing when a signal ended it before its turn. Errors: those of its thread.
  std::optional<Completion> take(std::size_t number) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_.count(number) || working_ == 0; });
    const auto found = done_.find(number);
    if (found != done_.end()) {
      Completion out = std::move(found->second);
      done_.erase(found);
      return out;
    }
    if (failure_) std::rethrow_exception(failure_);
    return std::nullopt;
  }

 private:
  // Of the rows' own reports only the first warning matters.
  class Warnings final : public Reporter {
   public:
    Warnings(Rows& rows, Reporter& reporter) : rows_(rows), reporter_(reporter) {}
    void log(LogLevel level, std::string_view message) override {
      const std::lock_guard lock(rows_.mutex_);
      if (level == LogLevel::warning && !std::exchange(warned_, true)) reporter_.warn(message);
    }
    void progress(const Progress&) override {}

   private:
    Rows& rows_;
    Reporter& reporter_;
    bool warned_ = false;
  };

  void work(Engine& engine) {
    try {
      const auto constraint = make_constraint(config_);
      Generator generator(engine, config_, warnings_, constraint.get());
      for (std::size_t i = next_++; i < rows_.size() && !stopped_ && !stop_signal(); i = next_++) {
        const std::uint64_t seed = rows_[i].seed.value_or(seed_of(seed_, i));
        Completion out = generator.complete(rows_[i].prompt, seed, [this](std::string_view) { return !stopped_; });
        const std::lock_guard lock(mutex_);
        done_.emplace(i, std::move(out));
        changed_.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      next_ = rows_.size();  // rows that are begun end, and are taken if they come before the one that failed
    }
    const std::lock_guard lock(mutex_);
    --working_;
    changed_.notify_all();
  }

  const std::vector<PromptRow>& rows_;
  const GenerateConfig& config_;
  const std::uint64_t seed_;
  Warnings warnings_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::size_t, Completion> done_;
  std::exception_ptr failure_;
  std::size_t working_;
  std::vector<std::thread> threads_;
};

}  // namespace

PromptRow parse_prompt_row(std::string_view line) {
  const Json row = Json::parse(line, nullptr, false);
  if (row.is_discarded()) throw input_error("invalid JSON");
  if (!row.is_object()) throw input_error("the line is no JSON object");
  if (row.contains("prompt") == row.contains("prompt_base64"))
    throw input_error("the row has neither prompt nor prompt_base64, or both");
  PromptRow out;
  out.prompt = row.contains("prompt") ? text_of(row, "prompt") : patch::decode_base64(text_of(row, "prompt_base64"));
  if (row.contains("id")) out.id = row["id"];
  if (row.contains("seed")) {
    if (!row["seed"].is_number_unsigned()) throw input_error("seed is no whole number from 0");
    out.seed = row["seed"].get<std::uint64_t>();
  }
  return out;
}

std::uint64_t seed_of(std::uint64_t seed, std::size_t number) {
  return number == 0 ? seed : mix_seed(seed, number) >> 1;  // what --seed can say
}

void complete_rows(const std::vector<PromptRow>& rows, const std::vector<std::unique_ptr<Engine>>& engines,
                   const GenerateConfig& config, std::uint64_t seed, Reporter& reporter,
                   const std::function<bool(std::size_t, const Completion&)>& take) {
  Rows at_once(rows, engines, config, seed, reporter);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto completion = at_once.take(i);
    if (!completion || !take(i, *completion)) return;
  }
}

}  // namespace blt::generate
