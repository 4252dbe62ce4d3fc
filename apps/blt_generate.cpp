// SPDX-License-Identifier: MIT
// blt-generate: text from a model, and scores of text.
#include "blt/base/files.h"
#include "blt/config/generate_config.h"
#include "blt/config/program.h"
#include "blt/config/score_config.h"
#include "blt/patch/entropy_source.h"

using namespace blt;

namespace {

config::Command generate_command(GenerateConfig& c) {
  config::Command command;
  command.brief = "Write text from a BLT or a byte LM";
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
  return command;
}

config::Command score_command(ScoreConfig& c) {
  config::Command command;
  command.name = "score";
  command.brief = "Log-likelihoods of texts, choices and continuations";
  command.description =
      "A text file is one text, each byte of it predicted from BOS and all bytes before it. Rows of "
      "JSON lines are {\"query\", \"choices\", \"gold\"}, of which every choice is scored behind "
      "the query, or {\"context\", \"continuation\"}. The likeliest choice is told by its "
      "log-likelihood and by that a byte; a continuation is greedy when greedy decoding writes "
      "exactly it; perplexity is the exponential of the mean negative log-likelihood of a "
      "continuation. Log-likelihoods are in nats. Texts are never cut, where blt-stats bpb scores a "
      "BLT's long documents in overlapping pieces of the trained length.";
  command.examples = {
      {"blt-generate score model/ page.txt notes.txt", "bits per byte of two texts"},
      {"blt-generate score model/ hellaswag.jsonl --limit 100 -o rows.jsonl",
       "accuracy on the first 100 questions, and the scores of each choice"},
      {"blt-generate score model/ arc.jsonl --join $'\\nAnswer: ' --json",
       "another text between question and choice, told as JSON"},
  };
  config::describe(command.fields, c);
  command.run = [&c](config::Invocation& invocation) {
    c.options.threads = invocation.common.threads;
    if (!c.output.empty()) check_output_path(c.output, c.force);
    return neural_networks().score(c, invocation.reporter);
  };
  return command;
}

config::Program make_program(GenerateConfig& generate, ScoreConfig& score) {
  config::Program program;
  program.name = "blt-generate";
  program.brief = "Write text from a BLT or a byte LM, and score text";
  program.description =
      "Goes on from each prompt byte by byte and shows the text as it comes, never half a UTF-8 "
      "character. Where the next patch begins is decided by the entropy of the byte before it, as "
      "in training. Keys and values of all parts are kept, so nothing is computed twice. Messages "
      "go to standard error. A model folder named score is ./score.";
  program.commands.push_back(generate_command(generate));
  program.commands.push_back(score_command(score));
  return program;
}

}  // namespace

int main(int argc, char** argv) {
  GenerateConfig generate;
  ScoreConfig score;
  return config::run_program(make_program(generate, score), argc, argv);
}
