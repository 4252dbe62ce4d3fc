// SPDX-License-Identifier: MIT
#include "blt/config/stats_config.h"

#include "shared_options.h"

namespace blt::config {
namespace {

void describe_model(Fields& fields, std::string& model) {
  fields.positional("MODEL", &model, "folder of a byte LM or a BLT").required = true;
}

void describe_inputs(Fields& fields, StatsInputs& c) {
  Field& inputs = fields.positional(
      "INPUT", &c.inputs, "corpus files or folders, - for standard input, or folders of shards");
  inputs.required = true;
  inputs.details =
      "A folder that holds manifest.json is read as shards. Plain, gzip and zstd files are told by "
      "their first bytes.";
  fields.group("Input");
  describe_reading(fields, c.format, c.split_lines, c.field, c.on_error);
  Field& group = fields.add("group_field", "--group-field", &c.group_field, "NAME",
                            "also report by this JSON field, such as lang");
  group.details = "Shards carry the groups that they were made with.";
  group.common = true;
}

void describe_model(Fields& fields, ModelOptions& c) {
  fields.group("Model");
  describe_model_options(fields, c, "float32");
  describe_blt_options(fields, c);
}

void describe_json(Fields& fields, bool& json) {
  fields.group("Output");
  fields.add("json", "--json", &json, "", "report as JSON").common = true;
}

}  // namespace

void describe(Fields& fields, LengthsConfig& c) {
  describe_inputs(fields, c.input);
  fields.group("Measures");
  Field& schemes = fields.add("scheme", "-s,--scheme", &c.schemes, "SPEC",
                              "a patching scheme; repeat it for more");
  schemes.common = true;
  schemes.details =
      "NAME[:VALUE][:KEY=VALUE,...]. Names: space, byte, delimiter, strided:K, topk:K, entropy:T, "
      "monotonic:T, combined:T; keys: "
      "threshold (nats), add (nats, of combined), size (bytes a patch: K, or the mean to which the "
      "threshold is fitted on a sample, as blt-patch --patch-size does), max "
      "(longest patch). Example: entropy:size=4.5,max=16. Without schemes and tokenizers: space, "
      "strided:4 and the patches of shards.";
  Field& tokenizers =
      fields.add("tokenizer", "-t,--tokenizer", &c.tokenizers, "[NAME=]FILE[:SPLIT]",
                 "a byte-level BPE tokenizer; repeat it for more");
  tokenizers.common = true;
  tokenizers.details =
      "A tiktoken rank file or a Hugging Face tokenizer.json. SPLIT is a rank file's split "
      "pattern: gpt2, cl100k, llama3, o200k, or "
      "auto (by the number of ranks). Special and added tokens in the text are ordinary text.";
  Field& model = fields.add("model", "-m,--model", &c.model, "DIR",
                            "the byte LM (or BLT) whose entropies the schemes use");
  model.common = true;
  model.details = "Without it schemes that need entropies take those of the shards.";
  Field& sample = fields.add("sample_size", "--sample-size", &c.sample_size, "SIZE",
                             "bytes of the inputs on which thresholds are fitted");
  sample.min = 1;
  sample.sized = true;
  fields.add("seed", "--seed", &c.seed, "N", "of the choice of the sample").min = 0;
  fields.group("Model");
  describe_model_options(fields, c.options, "float32");
  describe_json(fields, c.json);
  fields.add("svg", "--svg", &c.svg, "FILE", "also draw the distributions").common = true;
  fields.add("force", "-f,--force", &c.force, "", "replace an existing file");
}

void describe(Fields& fields, TokensConfig& c) {
  describe_inputs(fields, c.input);
  fields.group("Measures");
  Field& tokenizer = fields.add("tokenizer", "-t,--tokenizer", &c.tokenizer, "FILE[:SPLIT]",
                                "the tokenizer, as in lengths");
  tokenizer.required = true;
}

void describe(Fields& fields, TraceConfig& c) {
  describe_model(fields, c.model);
  describe_inputs(fields, c.input);
  describe_model(fields, c.options);
  fields.group("Output");
  fields.add("output", "-o,--output", &c.output, "FILE", "the safetensors file to write").required =
      true;
  fields.add("force", "-f,--force", &c.force, "", "replace an existing file").common = true;
  fields.add("logits", "--logits", &c.logits, "BOOL", "write i.logits: 1040 bytes a position");
  fields.add("eos", "--eos", &c.eos, "", "put EOS behind each document");
  Field& limit =
      fields.add("max_bytes", "--max-bytes", &c.max_bytes, "SIZE", "refuse more text than this");
  limit.sized = true;
  limit.min = 1;
  limit.details = "A trace is kept in memory until it is written.";
}

void describe(Fields& fields, BpbConfig& c) {
  describe_model(fields, c.model);
  describe_inputs(fields, c.input);
  fields.group("Documents");
  Field& split = fields.add("split", "--split", &c.split, "PART", "which documents count");
  split.choices = {"all", "held-out", "train"};
  split.common = true;
  Field& fraction = fields.add("held_out", "--held-out", &c.held_out, "FRACTION",
                               "the share held out, by the hash of the name");
  fraction.min = 0;
  fraction.max = 0.999999;
  fraction.details =
      "Give the value that the model was trained with; blt-train's default is the same.";
  fields.add("eos", "--eos", &c.eos, "", "also count predicting EOS behind each document").details =
      "The divisor stays the number of text bytes.";
  describe_model(fields, c.options);
  describe_json(fields, c.json);
  Field& compare = fields.add("compare", "--compare", &c.compare, "",
                              "also gzip -9 and xz -9 on the same documents, joined");
  compare.common = true;
}

void describe(Fields& fields, ShardFactsConfig& c) {
  fields.positional("FOLDER", &c.folder, "a folder of shards").required = true;
  describe_json(fields, c.json);
}

void describe(Fields& fields, ModelFactsConfig& c) {
  describe_model(fields, c.model);
  describe_model(fields, c.options);
  describe_json(fields, c.json);
}

}  // namespace blt::config
