// SPDX-License-Identifier: MIT
#include "shared_options.h"

namespace blt::config {

void describe_reading(Fields& fields, std::string& format, bool& split_lines, std::string& field,
                      std::string& on_error) {
  fields.add("format", "--format", &format, "FORMAT", "how files are read; auto: by their names").choices = {
      "auto", "jsonl", "text", "binary"};
  fields.add("split_lines", "--split-lines", &split_lines, "", "plain text: one document a line");
  fields.add("field", "--field", &field, "NAME", "the JSON field with the text").details =
      "Without it: text, else content.";
  fields.add("on_error", "--on-error", &on_error, "POLICY", "what a bad record or an unreadable file does").choices = {"fail", "skip"};
}

void describe_device(Fields& fields, std::string& device, std::string& dtype, const char* automatic) {
  fields.add("device", "--device", &device, "DEVICE", "where the model runs: cpu, cuda, cuda:N").environment =
      "BLT_DEVICE";
  fields.add("dtype", "--dtype", &dtype, "TYPE", std::string("of matrix products; auto: ") + automatic).choices = {
      "auto", "float32", "bfloat16"};
}

void describe_model_options(Fields& fields, ModelOptions& options, const char* automatic) {
  describe_device(fields, options.device, options.dtype, automatic);
  Field& compat = fields.add("compat", "--compat", &options.compat, "NAME", "whose attention semantics; auto: what the checkpoint says");
  compat.choices = {"auto", "meta", "hf"};
  compat.details =
      "meta: sliding windows, and blocks that end at EOS, as the released models were trained. hf: plain causal attention, "
      "patches pooled anew in each encoder layer, and under a maximum patch length a last patch that stays open, as "
      "transformers computes. A checkpoint that says nothing is read as meta.";
}

void describe_blt_options(Fields& fields, ModelOptions& options) {
  Field& tables = fields.add("hash_tables", "--hash-tables", &options.hash_tables, "PLACE", "where hash n-gram tables lie");
  tables.choices = {"memory", "mapped"};
  tables.details = "mapped: they stay in the checkpoint's file and in its type; a byte reads a row of each.";
  fields.add("entropy_model", "--entropy-model", &options.entropy_model, "DIR",
             "a BLT's entropy model, where it is not in its own folder");
}

void describe_decoding_options(Fields& fields, ModelOptions& options) {
  describe_model_options(fields, options, "bfloat16 where it is fast");
  describe_blt_options(fields, options);
  Field& dtype = *fields.find("dtype");
  dtype.choices.push_back("int8");
  dtype.help = "of weights; auto: bfloat16 where it is fast";
  dtype.details =
      "Decoding reads every weight for a byte, so its time goes with their size; on the CPU sums stay float32. float32: weights "
      "of a checkpoint in bfloat16 stay as narrow as they are, since that changes none of them. int8: with a scale a row, CPU only.";
  Field& entropy = fields.add("entropy_dtype", "--entropy-dtype", &options.entropy_dtype, "TYPE", "of the weights of a BLT's entropy model; same: as --dtype");
  entropy.choices = {"same", "float32", "bfloat16", "int8"};
  entropy.details =
      "It decides where patches begin; its activations are float32 whatever its weights are, so that the boundaries of a text "
      "do not hang on the pieces that it comes in.";
}

}  // namespace blt::config
