// SPDX-License-Identifier: MIT
// blt-train: trains byte language models and Byte Latent Transformers.
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
  return blt::config::run_program(std::move(program), argc, argv);
}
