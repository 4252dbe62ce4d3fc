// SPDX-License-Identifier: MIT
// blt-stats: figures about corpora, shards and models.
#include <cstdio>
#include <string>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/signals.h"
#include "blt/base/units.h"
#include "blt/config/program.h"
#include "blt/config/stats_config.h"
#include "blt/patch/entropy_source.h"
#include "blt/stats/facts.h"
#include "blt/stats/lengths.h"
#include "blt/stats/score.h"
#include "blt/stats/tokens.h"

using namespace blt;
using config::Command;
using config::Invocation;

namespace {

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

template <class Report>
int print_report(const Report& report, bool json) {
  if (stop_signal()) return 128 + stop_signal();
  print(json ? dump_json(stats::to_json(report), 2) + "\n" : stats::to_text(report));
  return 0;
}

std::unique_ptr<Scorer> open_scorer(const std::string& model, ModelOptions options,
                                    const Invocation& invocation) {
  options.threads = invocation.common.threads;
  return neural_networks().open_scorer(model, options);
}

int run_lengths(LengthsConfig& c, Invocation& invocation) {
  if (!c.svg.empty()) check_output_path(c.svg, c.force);
  c.options.threads = invocation.common.threads;
  const stats::LengthsReport report = stats::measure_lengths(c, invocation.reporter);
  if (!c.svg.empty() && !stop_signal()) write_file(c.svg, stats::to_svg(report));
  return print_report(report, c.json);
}

int run_tokens(TokensConfig& c, Invocation& invocation) {
  stats::list_tokens(
      c, [](std::string_view line) { print(std::string(line) + "\n"); }, invocation.reporter);
  return stop_signal() ? 128 + stop_signal() : 0;
}

int run_trace(TraceConfig& c, Invocation& invocation) {
  check_output_path(c.output, c.force);
  const auto scorer = open_scorer(c.model, c.options, invocation);
  const stats::TraceCounts counts = stats::write_trace(c, *scorer, invocation.reporter);
  if (stop_signal()) return 128 + stop_signal();
  invocation.reporter.info(
      cat(c.output, ": ", counts.documents, " documents, ", counts.positions, " positions"));
  return 0;
}

int run_bpb(BpbConfig& c, Invocation& invocation) {
  const auto scorer = open_scorer(c.model, c.options, invocation);
  return print_report(stats::measure_bpb(c, *scorer, invocation.reporter), c.json);
}

int run_shards(ShardFactsConfig& c, Invocation& invocation) {
  return print_report(stats::read_shard_facts(c.folder, invocation.reporter), c.json);
}

int run_model(ModelFactsConfig& c, Invocation& invocation) {
  const auto scorer = open_scorer(c.model, c.options, invocation);
  Json facts = {{"kind", scorer->kind()}};
  facts.update(scorer->facts());
  print(c.json ? dump_json(facts, 2) + "\n" : stats::facts_text(facts));
  return 0;
}

template <class Config>
Command make_command(std::string name, std::string brief, Config& c,
                     int (*run)(Config&, Invocation&)) {
  Command command;
  command.name = std::move(name);
  command.brief = std::move(brief);
  config::describe(command.fields, c);
  command.run = [&c, run](Invocation& invocation) { return run(c, invocation); };
  return command;
}

struct Configs {
  LengthsConfig lengths;
  TokensConfig tokens;
  TraceConfig trace;
  BpbConfig bpb;
  ShardFactsConfig shards;
  ModelFactsConfig model;
};

Command lengths_command(Configs& c) {
  Command command =
      make_command("lengths", "Compare lengths of patches and BPE tokens", c.lengths, run_lengths);
  command.description =
      "Lengths are in bytes of text: BOS and EOS, which patches in shards also cover, do not "
      "count. Every document begins with a new "
      "patch. Token counts equal those of the Python packages tiktoken and tokenizers; bytes that "
      "are not UTF-8, which those refuse, "
      "are tokens of their own. The median of an even number of lengths is the mean of the middle "
      "two; p90 and p99 are nearest ranks.";
  command.examples = {
      {"blt-stats lengths udhr.jsonl -s space -s strided:4 -t gpt2.tiktoken -t "
       "llama3.tokenizer.model --group-field lang",
       "patch against token lengths, by language"},
      {"blt-stats lengths corpus/ -m entropy-model -s entropy:size=4.5 -t tokenizer.json --svg "
       "lengths.svg",
       "entropy patches of a mean size of 4.5 bytes, drawn"},
      {"blt-stats lengths shards/ --json", "the patches of shards, for a program"},
  };
  return command;
}

Command tokens_command(Configs& c) {
  Command command = make_command("tokens", "Print each document's BPE token ids as JSON lines",
                                 c.tokens, run_tokens);
  command.examples = {{"blt-stats tokens corpus.jsonl -t gpt2.tiktoken",
                       "{\"id\", \"bytes\", \"tokens\"} of each document"}};
  return command;
}

Command trace_command(Configs& c) {
  Command command = make_command(
      "trace", "Write a model's entropies, patches and logits as safetensors", c.trace, run_trace);
  command.description =
      "For document i: i.ids (int64, BOS first), i.entropies (float32, nats), i.patch_lengths "
      "(int64, they also cover the byte that "
      "comes next) and i.logits (float32, positions x 260). What a model has not is left out: a "
      "byte LM cuts no patches. The metadata "
      "names the documents.";
  command.examples = {{"blt-stats trace model/ page.txt -o page.safetensors",
                       "all that the model computes for one document"}};
  return command;
}

Command bpb_command(Configs& c) {
  Command command = make_command("bpb", "Bits per byte of a byte LM or a BLT", c.bpb, run_bpb);
  command.description =
      "Bits per byte is the sum of -ln p over the targets, divided by ln 2 and the number of text "
      "bytes. The targets are the "
      "documents' bytes, each predicted from BOS and all bytes of its document before it; with "
      "--eos also the EOS behind each "
      "document. Documents never see each other. --compare joins the same documents, without "
      "separators, for the compressors.";
  command.examples = {
      {"blt-stats bpb model/ corpus.jsonl --split held-out --held-out 0.05 --compare",
       "held-out bits per byte beside gzip and xz"},
      {"blt-stats bpb model/ shards/ --group-field lang", "by the groups that the shards carry"},
  };
  return command;
}

config::Program make_program(Configs& c) {
  config::Program program;
  program.name = "blt-stats";
  program.brief = "Figures about corpora, shards and models: lengths, bits per byte, traces, facts";
  program.commands.push_back({"", program.brief, "", {}, {}, nullptr});
  program.commands.push_back(lengths_command(c));
  program.commands.push_back(bpb_command(c));
  program.commands.push_back(trace_command(c));
  program.commands.push_back(tokens_command(c));
  program.commands.push_back(
      make_command("shards", "Facts of a folder of shards", c.shards, run_shards));
  program.commands.push_back(make_command("model", "Facts of a model", c.model, run_model));
  return program;
}

}  // namespace

int main(int argc, char** argv) {
  Configs configs;
  return config::run_program(make_program(configs), argc, argv);
}
