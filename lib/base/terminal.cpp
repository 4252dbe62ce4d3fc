// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "blt/base/json.h"
#include "blt/base/reporter.h"
#include "blt/base/units.h"

namespace blt {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class TerminalReporter final : public Reporter {
 public:
  explicit TerminalReporter(const TerminalOptions& options) : options_(options) {
    if (options_.progress == "auto") options_.progress = ::isatty(STDERR_FILENO) ? "bar" : "plain";
    if (options_.quiet) options_.progress = "off";
  }
  ~TerminalReporter() override { clear_bar(); }

  void log(LogLevel level, std::string_view message) override {
    if (level == LogLevel::detail && options_.verbosity < 1) return;
    if (level != LogLevel::warning && options_.quiet) return;
    const std::lock_guard lock(mutex_);
    clear_bar();
    const char* word = level == LogLevel::warning ? "warning: " : "";
    std::fprintf(stderr, "%s: %s%.*s\n", options_.program.c_str(), word, static_cast<int>(message.size()),
                 message.data());
  }

  void progress(const Progress& progress) override {
    if (options_.progress == "off") return;
    const std::lock_guard lock(mutex_);
    if (progress.stage != stage_) {
      stage_ = progress.stage;
      start_ = Clock::now();
      first_done_ = progress.done;
      shown_ = start_ - std::chrono::hours(1);
    }
    const double interval = options_.progress == "bar" ? 0.1 : options_.progress == "plain" ? 30 : 1;
    const double waited = seconds_since(shown_);
    // A log's first line comes after its first interval, unless the stage is over by then.
    const bool early = options_.progress == "plain" && seconds_since(start_) < interval;
    if (!progress.finished && (waited < interval || early)) return;
    shown_ = Clock::now();
    if (options_.progress == "json") print_json(progress);
    else print_line(progress);
    if (progress.finished) stage_.clear();
  }

 private:
  std::string amount(double value, const std::string& unit) const {
    return unit == "B" ? format_bytes(value) : format_count(value) + " " + unit;
  }

  // `unit` a second since the stage began.
  double rate_of(const Progress& progress) const {
    const double elapsed = seconds_since(start_);
    return elapsed > 0 ? static_cast<double>(progress.done - first_done_) / elapsed : 0;
  }

  // Seconds; 0: done or not known.
  static double time_left(const Progress& progress, double rate) {
    if (progress.finished || rate <= 0 || progress.total <= progress.done) return 0;
    return static_cast<double>(progress.total - progress.done) / rate;
  }

  void print_line(const Progress& progress) {
    const double elapsed = seconds_since(start_);
    const double rate = rate_of(progress), left = time_left(progress, rate);
    std::string line = progress.stage + ": " + amount(static_cast<double>(progress.done), progress.unit);
    if (progress.total > 0) {
      const double share = static_cast<double>(progress.done) / static_cast<double>(progress.total);
      line += " of " + amount(static_cast<double>(progress.total), progress.unit) + " (" +
              format_fixed(100 * share, 0) + " %)";
    }
    if (rate > 0) line += ", " + amount(rate, progress.unit) + "/s";
    for (const auto& [name, value] : progress.fields) line += ", " + name + " " + value;
    if (progress.finished) {
      line += ", " + format_seconds(elapsed);
    } else if (left > 0) {
      line += ", " + format_seconds(left) + " left";
    }
    if (options_.progress == "bar") {
      std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), progress.finished ? "\n" : "");
      bar_ = !progress.finished;
    } else {
      std::fprintf(stderr, "%s: %s\n", options_.program.c_str(), line.c_str());
    }
    std::fflush(stderr);
  }

  void print_json(const Progress& progress) {
    const double rate = rate_of(progress);
    Json line = {{"stage", progress.stage}, {"done", progress.done},
                 {"total", progress.total}, {"unit", progress.unit},
                 {"rate", rate},            {"seconds_left", time_left(progress, rate)},
                 {"seconds", seconds_since(start_)}, {"finished", progress.finished}};
    for (const auto& [name, value] : progress.fields) line[name] = value;
    std::fprintf(stderr, "%s\n", dump_json(line).c_str());
  }

  void clear_bar() {
    if (bar_) std::fputs("\r\033[K", stderr);
    bar_ = false;
  }

  TerminalOptions options_;
  std::mutex mutex_;
  std::string stage_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_ = Clock::now();
  std::uint64_t first_done_ = 0;
  bool bar_ = false;
};

}  // namespace

std::unique_ptr<Reporter> make_terminal_reporter(const TerminalOptions& options) {
  return std::make_unique<TerminalReporter>(options);
}

bool use_color(const std::string& mode, int fd) {
  if (mode == "always") return true;
  if (mode == "never") return false;
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color && *no_color) return false;
  return ::isatty(fd) == 1;
}

}  // namespace blt
