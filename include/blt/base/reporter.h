// SPDX-License-Identifier: MIT
// How long-running library calls tell what they do. The library never prints; a program passes a Reporter.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace blt {

enum class LogLevel { warning, info, detail };

// One moment of a long job. Rates and the time left are the reporter's work.
struct Progress {
  std::string stage;        // "patch", "train", ...
  std::uint64_t done = 0;   // in `unit`
  std::uint64_t total = 0;  // 0: not known
  std::string unit = "B";   // "B" is told as bytes with binary prefixes
  std::vector<std::pair<std::string, std::string>> fields;  // ("patches", "12.3k"), in order
  bool finished = false;
};

class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual void log(LogLevel level, std::string_view message) = 0;
  virtual void progress(const Progress& progress) = 0;

  void warn(std::string_view message) { log(LogLevel::warning, message); }
  // A warning about the input or the work that makes the program's exit code 1: done, with reported problems.
  void problem(std::string_view message) {
    problems_ = true;
    warn(message);
  }
  bool problems() const { return problems_; }
  void info(std::string_view message) { log(LogLevel::info, message); }
  void detail(std::string_view message) { log(LogLevel::detail, message); }

 private:
  bool problems_ = false;
};

// Drops everything: for tests and library users.
class NullReporter final : public Reporter {
 public:
  void log(LogLevel, std::string_view) override {}
  void progress(const Progress&) override {}
};

struct TerminalOptions {
  std::string program;            // the prefix of messages
  bool quiet = false;             // warnings and errors only
  int verbosity = 0;              // 1: details too
  std::string progress = "auto";  // auto (bar on a terminal, else plain), bar, plain, json, off
  std::string color = "auto";     // auto, always, never
};

// Messages and progress on standard error: a bar on a terminal, a plain line every 30 s otherwise.
std::unique_ptr<Reporter> make_terminal_reporter(const TerminalOptions& options);

// Whether output on this file descriptor should be coloured (`--color`, NO_COLOR, isatty).
bool use_color(const std::string& mode, int fd);

}  // namespace blt
