// SPDX-License-Identifier: MIT
// blt-generate: text from a model.
#include "blt/base/files.h"
#include "blt/config/generate_config.h"
#include "blt/config/program.h"
#include "blt/patch/entropy_source.h"

using namespace blt;

namespace {

config::Program make_program(GenerateConfig& c) {
  config::Command command;
  command.brief = "Write text from a BLT or a byte LM";
  command.description =
      "Goes on from each prompt byte by byte and shows the text as it comes, never half a UTF-8 "
      "character. Where the next patch "
      "begins is decided by the entropy of the byte before it, as in training. Keys and values of "
      "all parts are kept, so nothing is "
      "computed twice. Messages go to standard error.";
  command.examples = {
      {"blt-generate model/ --prompt 'The function ' -n 256", "sample 256 bytes"},
      {"blt-generate model/ -p '=head1 NAME' --greedy --echo --stop '=head1'",
       "the most likely text up to the next heading"},
      {"blt-generate model/ -p 'The ' -t 0.8 --top-p 0.95 --seed 1 --json",
       "a choice that can be repeated, told as JSON"},
      {"blt-generate model/ -p 'Answer: ' --choices 'yes|no|not sure'",
       "one of three texts; others are --regex, --json-schema and --grammar json"},
      {"head -c 1000 page.txt | blt-generate model/ --show-patches",
       "go on from a file, with the borders of patches"},
  };
  config::describe(command.fields, c);
  command.run = [&c](config::Invocation& invocation) {
    c.options.threads = invocation.common.threads;
    check(c);
    if (!c.output.empty()) check_output_path(c.output, c.force);
    return neural_networks().generate(c, invocation.reporter);
  };
  config::Program program;
  program.name = "blt-generate";
  program.brief = command.brief;
  program.commands.push_back(std::move(command));
  return program;
}

}  // namespace

int main(int argc, char** argv) {
  GenerateConfig config;
  return config::run_program(make_program(config), argc, argv);
}
