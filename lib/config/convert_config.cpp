// SPDX-License-Identifier: MIT
#include "blt/config/convert_config.h"

namespace blt::config {
namespace {

void describe_output(Fields& fields, std::string& output, bool& force, bool& dry_run) {
  Field& folder = fields.add("output", "-o,--output", &output, "DIR", "the model folder to make");
  folder.required = true;
  folder.common = true;
  folder.details = "It appears when it is complete, or not at all.";
  fields.add("force", "-f,--force", &force, "", "replace an existing folder").common = true;
  fields.add("dry_run", "-n,--dry-run", &dry_run, "", "check everything, write nothing").common = true;
}

}  // namespace

void describe(Fields& fields, ConvertConfig& c) {
  Field& input = fields.positional("MODEL", &c.input, "a model folder of any layout");
  input.required = true;
  input.details =
      "Hugging Face: config.json of model_type blt or blt_patcher, with model.safetensors or its sharded form. Meta's hub "
      "form: config.json {\"args\"}, model.safetensors, entropy_model/. Meta's consolidated form: params.json, "
      "consolidated.pth, entropy_model/ inside or beside.";
  fields.group("Output");
  Field& to = fields.add("to", "--to", &c.to, "LAYOUT", "hf, meta (params.json, consolidated.pth) or meta-hub");
  to.choices = {"hf", "meta", "meta-hub"};
  to.required = true;
  to.common = true;
  Field& dtype = fields.add("dtype", "--dtype", &c.dtype, "TYPE", "of the tensors; same: each as it is stored");
  dtype.choices = {"same", "float32", "bfloat16", "float16"};
  dtype.common = true;
  describe_output(fields, c.output, c.force, c.dry_run);
  fields.group("Model");
  fields.add("entropy_model", "--entropy-model", &c.entropy_model, "DIR", "a BLT's entropy model, where it is not in its own folder");
}

void describe(Fields& fields, InitFromConfig& c) {
  Field& input = fields.positional("MODEL", &c.input, "folder of a Llama-family token model in the Hugging Face layout");
  input.required = true;
  fields.group("Model");
  Field& preset = fields.add("preset", "--preset", &c.preset, "NAME", "whose local models and hash tables; default: by the latent width");
  preset.choices = {"tiny", "small", "400m", "1b", "2b", "4b", "8b"};
  preset.common = true;
  fields.add("cross_k", "--cross-k", &c.cross_k, "K", "vectors a patch has at the local models' width; default: the preset's").min = 1;
  Field& rows = fields.add("hash_rows", "--hash-rows", &c.hash_rows, "N", "rows of each hash n-gram table; default: the preset's");
  rows.min = 1;
  rows.sized = true;
  fields.add("window", "--window", &c.window, "N", "positions that byte attention sees; 0: all; default: the preset's").min = 0;
  fields.add("seed", "--seed", &c.seed, "N", "of the fresh weights").common = true;
  fields.group("Output");
  describe_output(fields, c.output, c.force, c.dry_run);
}

}  // namespace blt::config
