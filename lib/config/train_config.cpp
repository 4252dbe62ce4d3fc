// SPDX-License-Identifier: MIT
#include "blt/config/train_config.h"

#include "shared_options.h"

namespace blt::config {
namespace {

Field& same(Field& field) {
  field.same_run = false;
  return field;
}

Field& at_least(Field& field, double min) {
  field.min = min;
  return field;
}

void describe_run(Fields& f, TrainConfig& c) {
  f.group("Model");
  f.add("init", "--init", &c.init, "DIR", "start from this model folder (any layout) instead of a preset").details =
      "Its shape and weights are taken; --preset and --hash-rows have no part in it.";
  f.add("window", "--window", &c.window, "N", "positions that byte attention sees; 0: all; default: the preset's").min = 0;
  f.group("Training");
  Field& length = at_least(f.add("sequence_length", "--sequence-length", &c.sequence_length, "BYTES",
                                 "longest piece of a document; 0: the preset's trained length"), 0);
  length.sized = true;
  Field& batch = at_least(f.add("batch_bytes", "--batch-bytes", &c.batch_bytes, "BYTES", "bytes of a batch"), 16);
  batch.sized = true;
  at_least(f.add("accumulate", "--accumulate", &c.accumulate, "N", "batches whose gradients make one step"), 1);
  Field& bytes = at_least(f.add("train_bytes", "--bytes", &c.train_bytes, "BYTES",
                                "bytes to train on in all; 0: by --epochs"), 0);
  bytes.sized = true;
  bytes.common = true;
  at_least(f.add("epochs", "--epochs", &c.epochs, "N", "passes over the data"), 0);
  at_least(f.add("shuffle_buffer", "--shuffle-buffer", &c.shuffle_buffer, "BYTES",
                 "document pieces are drawn at random from a buffer of this size"), 1).sized = true;
  Field& rate = at_least(f.add("learning_rate", "--lr", &c.learning_rate, "LR", "peak learning rate of AdamW"), 0);
  rate.common = true;
  at_least(f.add("min_learning_rate", "--min-lr", &c.min_learning_rate, "R",
                 "the cosine ends at this share of the peak"), 0).max = 1;
  at_least(f.add("warmup", "--warmup", &c.warmup, "STEPS", "steps of linear warm-up"), 0);
  at_least(f.add("beta1", "--beta1", &c.beta1, "B", "AdamW's first moment decay"), 0).max = 0.9999;
  at_least(f.add("beta2", "--beta2", &c.beta2, "B", "AdamW's second moment decay"), 0).max = 0.999999;
  at_least(f.add("eps", "--eps", &c.eps, "E", "AdamW's epsilon"), 0);
  at_least(f.add("weight_decay", "--weight-decay", &c.weight_decay, "W",
                 "decoupled weight decay of matrices (not of norms)"), 0);
  at_least(f.add("clip", "--clip", &c.clip, "NORM", "gradient norm above which gradients are scaled down; 0: never"), 0);
  f.add("seed", "--seed", &c.seed, "N", "of weights and data order").common = true;
  f.group("Multi-token prediction");
  Field& heads = at_least(f.add("mtp", "--mtp", &c.mtp, "N", "predict the next N bytes, each with a head of its own; default: as --init, else 1"), 1);
  heads.max = 16;
  heads.details = "Head 1 is the model's own; the others are kept beside it in heads.safetensors. --mtp 1 leaves those of --init out.";
  Field& kind = f.add("mtp_heads", "--mtp-heads", &c.mtp_heads, "KIND",
                      "heads from the second on: an unembedding each, or a transformer layer each; default: linear");
  kind.choices = {"linear", "layer"};
  at_least(f.add("mtp_weight", "--mtp-weight", &c.mtp_weight, "W", "weight of the second head's loss; the first head's is 1"), 0).details =
      "1 is the paper's, for large models; it costs small ones much of their first head, 0.1 to 0.3 less.";
  at_least(f.add("mtp_decay", "--mtp-decay", &c.mtp_decay, "G", "each further head weighs G times the one before it"), 0);
  f.group("Evaluation and output");
  Field& held = at_least(f.add("held_out", "--held-out", &c.held_out, "SHARE",
                               "documents kept for evaluation, chosen by a hash of their names"), 0);
  held.max = 0.9;
  at_least(same(f.add("eval_bytes", "--eval-bytes", &c.eval_bytes, "BYTES", "held-out bytes of one evaluation")), 0).sized = true;
  at_least(same(f.add("eval_every", "--eval-every", &c.eval_every, "STEPS", "evaluate every so many steps; 0: at the end")), 0);
  at_least(same(f.add("save_every", "--save-every", &c.save_every, "STEPS", "save every so many steps; 0: at the end")), 0);
  at_least(same(f.add("log_every", "--log-every", &c.log_every, "STEPS", "a line of metrics.jsonl every so many steps")), 1);
  Field& output = same(f.add("output", "-o,--output", &c.output, "DIR", "the run's folder: checkpoints and metrics.jsonl"));
  output.required = true;
  same(f.add("resume", "--resume", &c.resume, "", "go on from the last checkpoint in the output folder")).common = true;
  same(f.add("force", "-f,--force", &c.force, "", "replace an existing output folder")).common = true;
  same(f.add("dry_run", "-n,--dry-run", &c.dry_run, "", "check everything, tell the plan, train nothing")).common = true;
  f.group("Machine");
  describe_device(f, c.device, c.dtype, "bfloat16 where the hardware multiplies it");
  f.find("device")->same_run = false;
}

}  // namespace

Fields describe_train_entropy(TrainConfig& c) {
  c.kind = "entropy";
  Fields f;
  f.group("Data");
  Field& data = f.add("data", "--data", &c.data, "CORPUS", "files, folders or -");
  data.required = data.many = true;
  describe_reading(f, c.format, c.split_lines, c.field, c.on_error);
  f.group("Model");
  Field& preset = f.add("preset", "--preset", &c.preset, "NAME", "shape of the byte LM");
  preset.choices = {"tiny", "small", "base", "100m"};
  preset.common = true;
  describe_run(f, c);
  return f;
}

Fields describe_train_blt(TrainConfig& c) {
  c.kind = "blt";
  Fields f;
  f.group("Data");
  Field& data = f.add("data", "--data", &c.data, "SHARDS", "folders of shards written by blt-patch with the same rules");
  data.required = data.many = true;
  same(f.add("entropy_model", "--entropy-model", &c.entropy_model, "DIR",
             "the entropy model to keep in the checkpoint; default: the one that the shards name"));
  f.group("Model");
  Field& preset = f.add("preset", "--preset", &c.preset, "NAME", "shape of the BLT (paper table 10 from 400m on)");
  preset.choices = {"tiny", "small", "400m", "1b", "2b", "4b", "8b"};
  preset.common = true;
  at_least(f.add("hash_rows", "--hash-rows", &c.hash_rows, "N", "rows of each hash n-gram table; default: the preset's"), 1).sized = true;
  describe_run(f, c);
  f.group("Training");
  at_least(f.add("hash_learning_rate", "--hash-lr", &c.hash_learning_rate, "R",
                 "learning rate of the hash tables, as a multiple of --lr"), 0);
  at_least(f.add("latent_learning_rate", "--latent-lr", &c.latent_learning_rate, "R",
                 "learning rate of the latent transformer's layers, as a multiple of --lr"), 0).details =
      "0.1 after init-from, as in the paper's section 6.1.";
  return f;
}

}  // namespace blt::config
