// SPDX-License-Identifier: MIT
// blt-train: trains byte language models and Byte Latent Transformers.
#include "blt/base/files.h"
#include "blt/config/convert_config.h"
#include "blt/config/program.h"
#include "blt/config/train_config.h"
#include "blt/patch/entropy_source.h"

namespace {

using blt::config::Command;
using blt::config::Invocation;

Command command(const char* name, blt::TrainConfig& config, blt::config::Fields fields) {
  Command c;
  c.name = name;
  c.fields = std::move(fields);
  c.run = [&config](Invocation& invocation) {
    config.threads = invocation.common.threads;
    return blt::neural_networks().train(config, invocation.reporter);
  };
  return c;
}

Command convert_command(blt::ConvertConfig& config) {
  Command c;
  c.name = "convert";
  c.brief = "Write a model in another layout";
  c.description =
      "Between the Hugging Face layout and Meta's two, in all directions and without loss. Hash tables are fused or split, "
      "and tensors named, as each has it. What a layout cannot say is an error.";
  c.examples = {{"blt-train convert blt_1b -o blt-1b-hf --to hf", "Meta's consolidated.pth for transformers and this toolkit"},
                {"blt-train convert model -o model-meta --to meta --dtype bfloat16", "a trained model for Meta's code"}};
  describe(c.fields, config);
  c.run = [&config](Invocation& invocation) {
    blt::check_output_path(config.output, config.force);
    return blt::neural_networks().convert(config, invocation.reporter);
  };
  return c;
}

Command init_from_command(blt::InitFromConfig& config) {
  Command c;
  c.name = "init-from";
  c.brief = "Make a BLT around a token model's layers";
  c.description =
      "The layers of a Llama-family model become the latent transformer (paper section 6.1); its embedding, final norm and "
      "head are dropped, the local models are fresh. blt-train blt --init trains the result.";
  c.examples = {{"blt-train init-from llama-3.1-8b -o start && blt-train blt --data shards --init start --latent-lr 0.1 -o model",
                 "byte-ify a token model"}};
  describe(c.fields, config);
  c.run = [&config](Invocation& invocation) {
    blt::check_output_path(config.output, config.force);
    return blt::neural_networks().init_from(config, invocation.reporter);
  };
  return c;
}

}  // namespace

int main(int argc, char** argv) {
  blt::TrainConfig entropy_config, blt_config;
  blt::config::Program program;
  program.name = "blt-train";
  program.brief = "Train byte language models and Byte Latent Transformers";
  program.description =
      "Trains the byte LM that gives next-byte entropies (entropy), and the Byte Latent Transformer on shards that "
      "blt-patch made (blt). The output folder holds checkpoints in the Hugging Face layout, the optimiser's state and "
      "metrics.jsonl; --resume goes on from the last checkpoint. SIGTERM, SIGINT and SIGUSR1 save and stop.";
  Command none;
  program.commands.push_back(std::move(none));

  Command entropy = command("entropy", entropy_config, blt::config::describe_train_entropy(entropy_config));
  entropy.brief = "Train a byte LM (the entropy model) on a corpus";
  entropy.description =
      "A causal transformer over bytes with a sliding window. Documents are packed without padding and never see each "
      "other.";
  entropy.examples = {{"blt-train entropy --data corpus/ --bytes 12M -o entropy", "train the tiny preset on a folder of texts"},
                      {"blt-train entropy --data corpus/ --bytes 12M -o entropy --resume", "go on after an interruption"}};
  program.commands.push_back(std::move(entropy));

  Command blt_command = command("blt", blt_config, blt::config::describe_train_blt(blt_config));
  blt_command.brief = "Train a Byte Latent Transformer on shards";
  blt_command.description =
      "Batches are whole patches of many documents, packed without padding, with masks that end at document borders.";
  blt_command.examples = {{"blt-train blt --data shards --bytes 8M -o model", "train the tiny preset"}};
  program.commands.push_back(std::move(blt_command));

  blt::ConvertConfig convert_config;
  blt::InitFromConfig init_from_config;
  program.commands.push_back(convert_command(convert_config));
  program.commands.push_back(init_from_command(init_from_config));
  return blt::config::run_program(std::move(program), argc, argv);
}
