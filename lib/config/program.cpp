// SPDX-License-Identifier: MIT
#include "blt/config/program.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <new>

#include "blt/base/error.h"
#include "blt/base/signals.h"
#include "blt/base/threads.h"
#include "help.h"

#ifndef BLT_VERSION
#define BLT_VERSION "unknown"
#endif

namespace blt::config {
namespace {

int tell(const std::string& program, const Error& error) {
  std::fprintf(stderr, "%s: error: %s\n", program.c_str(), error.what());
  if (!error.hint().empty()) std::fprintf(stderr, "hint: %s\n", error.hint().c_str());
  return static_cast<int>(error.kind());
}

int print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

// One CLI11 option for each field; CLI11 collects texts, set_from_text() gives them their types.
void bind(CLI::App& app, Fields& fields) {
  for (auto& field : fields.all()) {
    const std::string name = field.positional() ? field.name : field.flags;
    if (field.is_switch()) {
      app.add_flag_callback(name, [&field] { set_from_text(field, "true", Origin::flag); });
      continue;
    }
    if (field.name == "verbose") {
      app.add_flag_function(name, [&field](std::int64_t n) {
        set_from_text(field, std::to_string(n), Origin::flag);
      });
      continue;
    }
    const auto take = [&field](const CLI::results_t& values) {
      for (const auto& value : values) set_from_text(field, value, Origin::flag);
      return true;
    };
    CLI::Option* option = app.add_option(name, take);
    if (!field.is_list()) option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    else if (field.positional() || field.many) option->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args();
    else option->expected(1)->take_all();
  }
}

std::string generate(const Program& program, const std::string& kind) {
  if (kind == "man") return man_page(program);
  if (kind == "bash") return bash_completion(program);
  if (kind == "zsh") return zsh_completion(program);
  if (kind == "fish") return fish_completion(program);
  throw usage_error(cat("--generate: '", kind, "' is not one of man, bash, zsh, fish"));
}

Command& choose_command(Program& program, int& argc, char**& argv) {
  Command* fallback = nullptr;
  for (auto& command : program.commands) {
    if (command.name.empty()) fallback = &command;
    else if (argc > 1 && command.name == argv[1]) {
      --argc;
      ++argv;
      return command;
    }
  }
  if (!fallback) throw internal_error("program without a default command");
  return *fallback;
}

std::string command_names(const Program& program) {
  std::string names;
  for (const auto& command : program.commands) {
    if (!command.name.empty()) names += (names.empty() ? "" : ", ") + command.name;
  }
  return names;
}

struct Asked {
  bool help = false, short_help = false, version = false;
  std::string generate;
};

void parse(CLI::App& app, int argc, char** argv, const Asked& asked) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (asked.help || asked.short_help || asked.version) return;
    std::string message = error.what();
    std::replace(message.begin(), message.end(), '\n', ' ');
    throw usage_error(message, "--help tells what there is");
  }
}

int run(Program& program, int argc, char** argv) {
  Command& command = choose_command(program, argc, argv);
  Common common;
  Fields common_fields = describe_common(common);
  Asked asked;
  CLI::App app;
  app.set_help_flag();
  app.add_flag("--help", asked.help);
  app.add_flag("-h", asked.short_help);
  app.add_flag("-V,--version", asked.version);
  app.add_option("--generate", asked.generate)->group("");
  // Help shows the defaults, so its text is made before parsing changes any value.
  const std::string full = help_text(program, command, common_fields, true);
  const std::string brief = help_text(program, command, common_fields, false);
  bind(app, command.fields);
  bind(app, common_fields);
  // --generate wants the untouched table as well.
  if (argc == 3 && std::string_view(argv[1]) == "--generate") return print(generate(program, argv[2]));
  parse(app, argc, argv, asked);
  if (asked.help) return print(full);
  if (asked.short_help) return print(brief);
  if (asked.version) return print(program.name + " " BLT_VERSION "\n");
  if (!command.run) {
    throw usage_error(argc > 1 ? cat("'", argv[1], "' is not one of ", command_names(program))
                               : cat("a command is missing: one of ", command_names(program)),
                      program.name + " --help tells what there is");
  }
  if (!common.config_file.empty()) apply_toml(command.fields, common.config_file);
  apply_environment(command.fields);
  if (common.print_config) return print(to_toml(command.fields));
  validate(command.fields);
  if (Field* threads = command.fields.find("threads")) set_from_text(*threads, std::to_string(common.threads), Origin::flag);

  const ThreadLimit limit(static_cast<int>(common.threads));
  const auto reporter = make_terminal_reporter(
      {program.name, common.quiet, static_cast<int>(common.verbose), common.progress, common.color});
  Invocation invocation{common, *reporter, command.fields};
  const int code = command.run(invocation);
  return code == 0 && reporter->problems() ? 1 : code;
}

// Results that could not be written are an error, except to a reader who left.
int flush_output(const std::string& program, int code) {
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  if (!failed || errno == EPIPE) return code;
  return tell(program, output_error(cat("standard output: ", std::generic_category().message(errno))));
}

}  // namespace

Fields describe_common(Common& common) {
  Fields fields;
  fields.group("Common options");
  const auto add = [&](const char* name, const char* flags, Target target, const char* value, const char* help) -> Field& {
    Field& field = fields.add(name, flags, target, value, help);
    field.same_run = false;
    return field;
  };
  add("threads", "-j,--threads", &common.threads, "N", "CPU threads in all; 0: every CPU").min = 0;
  fields.all().back().max = 4096;
  add("config", "-c,--config", &common.config_file, "FILE", "read options from a TOML file (keys as in --print-config)");
  add("print_config", "--print-config", &common.print_config, "", "print the options in force as TOML and stop");
  add("progress", "--progress", &common.progress, "HOW", "progress on standard error").choices = {"auto", "bar", "plain", "json", "off"};
  add("color", "--color", &common.color, "WHEN", "coloured output; NO_COLOR is honoured").choices = {"auto", "always", "never"};
  add("quiet", "-q,--quiet", &common.quiet, "", "no messages but warnings and errors");
  add("verbose", "-v,--verbose", &common.verbose, "", "more messages");
  return fields;
}

int run_program(Program program, int argc, char** argv) {
  install_stop_signals();
  try {
    return flush_output(program.name, run(program, argc, argv));
  } catch (const Error& error) {
    std::fflush(stdout);
    return tell(program.name, error);
  } catch (const std::bad_alloc&) {
    return tell(program.name, resource_error("out of memory"));
  } catch (const std::exception& error) {
    return tell(program.name, internal_error(error.what()));
  }
}

}  // namespace blt::config
