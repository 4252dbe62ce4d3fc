// SPDX-License-Identifier: MIT
// A program as data: its commands, their options and texts. run_program() is every program's main().
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "blt/base/reporter.h"
#include "blt/config/fields.h"

namespace blt::config {

// The options that every command has.
struct Common {
  bool quiet = false;
  std::int64_t verbose = 0;  // -v
  std::string color = "auto";
  std::string progress = "auto";
  std::int64_t threads = 0;  // 0: all
  std::string config_file;
  bool print_config = false;
};

struct Example {
  std::string command;
  std::string text;
};

// What a command's run function gets.
struct Invocation {
  const Common& common;
  Reporter& reporter;
  Fields& fields;  // with origins
};

struct Command {
  std::string name;     // "" for the command that runs without a name
  std::string brief;    // one line
  std::string description;
  std::vector<Example> examples;
  Fields fields;
  std::function<int(Invocation&)> run;  // returns the exit code
};

struct Program {
  std::string name;   // "blt-patch"
  std::string brief;  // one line
  std::string description;
  std::vector<Command> commands;
};

// Parses, applies config file and environment, validates, runs; turns errors into one line and an exit code.
// Also --help, -h, --version, --print-config and the hidden --generate man|bash|zsh|fish.
int run_program(Program program, int argc, char** argv);

// The generated documents.
std::string man_page(const Program& program);
std::string bash_completion(const Program& program);
std::string zsh_completion(const Program& program);
std::string fish_completion(const Program& program);

}  // namespace blt::config
