// SPDX-License-Identifier: MIT
#include "blt/config/patch_config.h"

#include "shared_options.h"

namespace blt::config {
namespace {

void describe_corpus(Fields& fields, PatchCorpusConfig& c, const char* what) {
  Field& inputs = fields.positional("CORPUS", &c.inputs, what);
  inputs.required = true;
  inputs.details =
      "Plain, gzip and zstd files are told by their first bytes. Any bytes are legal text; nothing "
      "is changed or dropped.";
  fields.group("Input");
  describe_reading(fields, c.format, c.split_lines, c.field, c.on_error);
  Field& group = fields.add("group_field", "--group-field", &c.group_field, "NAME",
                            "a JSON field to keep as the group, such as lang");
  group.details = "Reports can tell documents apart by it.";
  Field& held_out = fields.add("held_out", "--held-out", &c.held_out, "FRACTION",
                               "the share of documents held out, by the hash of the id");
  held_out.min = 0;
  held_out.max = 0.999999;
  held_out.details =
      "Which documents these are depends on their ids alone, so that every program and run agrees "
      "on it.";
  Field& split = fields.add("split", "--split", &c.split, "PART", "which documents are read");
  split.choices = {"all", "train", "held-out"};
}

void describe_limits(Fields& fields, std::optional<std::int64_t>& max_patch_length,
                     bool& newline_reset) {
  Field& longest = fields.add("max_patch_length", "--max-patch-length", &max_patch_length, "BYTES",
                              "split longer patches");
  longest.min = 1;
  longest.max = 4294967295.0;
  Field& reset = fields.add("newline_reset", "--newline-reset", &newline_reset, "",
                            "the entropy context restarts at each newline");
  reset.details =
      "The paper's variant: each line is read by the entropy model as a document of its own, and a "
      "rise of the entropy (monotonic, "
      "combined) is not taken across a newline, where its condition counts as met.";
}

void describe_threshold_add(Fields& fields, double& threshold_add) {
  fields.add("threshold_add", "--threshold-add", &threshold_add, "NATS",
             "combined: the rise must exceed this as well");
}

void describe_rules(Fields& fields, PatchRulesConfig& c, const char* patch_size_details) {
  fields.group("Patches");
  Field& scheme = fields.add("scheme", "-s,--scheme", &c.scheme, "SCHEME", "how patches are cut");
  scheme.choices = {"entropy", "monotonic", "combined", "topk",
                    "strided", "space",     "byte",     "delimiter"};
  scheme.common = true;
  scheme.details =
      "entropy: a byte starts a patch when its entropy exceeds the threshold; monotonic: when its "
      "entropy exceeds the last one's by more "
      "than the threshold; combined: both; topk: the bytes of highest entropy; strided: every K "
      "bytes; space: after runs of space-like bytes "
      "begin; byte: every byte; delimiter: after each delimiter id (cut only).";
  Field& threshold = fields.add("threshold", "-t,--threshold", &c.threshold, "NATS",
                                "entropy, monotonic, combined: the threshold");
  threshold.common = true;
  threshold.details = "The released models' is 1.335442066192627.";
  Field& size =
      fields.add("patch_size", "-p,--patch-size", &c.patch_size, "BYTES", "the mean patch size");
  size.min = 1;
  size.common = true;
  size.details = patch_size_details;
  describe_threshold_add(fields, c.threshold_add);
  describe_limits(fields, c.max_patch_length, c.newline_reset);
}

void describe_model(Fields& fields, PatchModelConfig& c) {
  fields.group("Entropy model");
  Field& model = fields.add("entropy_model", "-m,--entropy-model", &c.entropy_model, "DIR",
                            "folder of the byte LM whose entropies decide");
  model.common = true;
  describe_model_options(fields, c.options, "float32");
  fields.find("device")->same_run = false;
  Field& dtype = *fields.find("dtype");
  dtype.choices.push_back("int8");
  dtype.details =
      "bfloat16 is faster where the hardware multiplies it; elsewhere it only rounds as that would. int8: weights rounded, with a scale a "
      "row, on the CPU; the products stay float32. Some boundaries move: calibrate --compare-dtypes tells how many.";
  Field& compat = *fields.find("compat");
  compat.choices.push_back("meta-chunk");
  compat.details += " meta-chunk: as meta, and a document's context restarts every 8192 positions, as Meta's preprocessing does.";
}

void describe_sample(Fields& fields, std::int64_t& sample_size, std::int64_t& seed) {
  Field& sample = fields.add("sample_size", "--sample-size", &sample_size, "SIZE",
                             "bytes of the corpus on which thresholds are fitted");
  sample.sized = true;
  sample.min = 1;
  sample.details =
      "Documents are chosen evenly over the corpus, long ones in pieces of 4 KiB; of standard "
      "input and pipes the first ones are taken.";
  Field& seeds = fields.add("seed", "--seed", &seed, "N", "of the choice of the sample");
  seeds.min = 0;
}

void describe_json(Fields& fields, bool& json) {
  fields.add("json", "--json", &json, "", "report as JSON").common = true;
}

template <class Config>
void describe_output(Fields& fields, Config& c, const char* output_details) {
  fields.group("Output");
  Field& output =
      fields.add("output", "-o,--output", &c.output, "DIR", "the folder of shards to make");
  output.required = true;
  output.common = true;
  output.same_run = false;
  output.details = output_details;
  Field& force = fields.add("force", "-f,--force", &c.force, "", "replace an existing folder");
  force.common = true;
  force.same_run = false;
  Field& dry = fields.add("dry_run", "-n,--dry-run", &c.dry_run, "",
                          "check everything, read and write no documents");
  dry.common = true;
  dry.same_run = false;
  Field& shard = fields.add("shard_size", "--shard-size", &c.shard_size, "SIZE",
                            "document bytes after which a new shard starts");
  shard.sized = true;
  shard.min = 1024;
}

void describe_ranks(Fields& fields, std::optional<std::int64_t>& rank,
                    std::optional<std::int64_t>& world_size) {
  fields.group("Several processes");
  Field& one = fields.add("rank", "--rank", &rank, "N",
                          "which of the processes that share the work this is, from 0");
  one.min = 0;
  one.same_run = false;
  one.details =
      "Without it the variables of torchrun, mpirun or srun tell. All processes get the same "
      "options and see the same files, also from other machines. The one that completes the last "
      "part makes the folder; whichever are cut off, any number of processes go on with the rest.";
  Field& all = fields.add("world_size", "--world-size", &world_size, "N", "how many these are");
  all.min = 1;
  all.same_run = false;
}

void describe_level(Fields& fields, std::int64_t& compression_level) {
  Field& level = fields.add("level", "--level", &compression_level, "N", "zstd compression level");
  level.min = 1;
  level.max = 22;
}

constexpr const char* fitted_size =
    "entropy, monotonic, combined: instead of --threshold; the threshold that gives this mean size "
    "on a sample is found and stored. "
    "strided, topk: a whole number, 4 by default.";

}  // namespace

void describe(Fields& fields, PatchConfig& c) {
  describe_corpus(fields, c.corpus, "corpus files or folders, - for standard input");
  describe_output(fields, c,
                  "It appears when it is complete, or not at all. Until then DIR.partial holds what is "
                  "done; the same command goes on with it, other options are refused, --force begins "
                  "anew.");
  fields.find("shard_size")->details =
      "Large plain files of lines are shared out in ranges of about this size, small files in groups "
      "up to it, other files whole.";
  fields.add("keep_entropies", "--keep-entropies", &c.keep_entropies, "",
             "store the entropies too");
  Field& type = fields.add("entropy_type", "--entropy-type", &c.entropy_type, "TYPE",
                           "as what entropies are stored");
  type.choices = {"float16", "float32"};
  type.details =
      "float32 keeps them exactly, in twice the space: recut then finds the boundaries that the "
      "model gave.";
  describe_level(fields, c.level);
  describe_json(fields, c.json);
  describe_ranks(fields, c.rank, c.world_size);
  describe_rules(fields, c.rules, fitted_size);
  describe_sample(fields, c.sample_size, c.seed);
  describe_model(fields, c.model);
}

void describe(Fields& fields, CutConfig& c) {
  Field& inputs =
      fields.positional("FILE", &c.inputs, "JSON lines to cut; without it standard input");
  inputs.details =
      "Objects with tokens (ids, BOS first; or a list of such rows), text or bytes_base64, and "
      "entropies in nats, one a token. "
      "text stands for BOS and its bytes, with EOS when there is an entropy for it.";
  describe_rules(fields, c.rules, "strided, topk: bytes a patch, a whole number, 4 by default.");
  Field& next = fields.add("include_next", "--include-next", &c.include_next, "",
                           "the patches also cover the byte after the last");
  next.common = true;
  next.details =
      "An entropy above the threshold at the last byte then gives that byte a patch of its own.";
  fields.add("training_form", "--training-form", &c.training_form, "",
             "split a first patch longer than 1 in 1 and the rest");
  fields.add("eos", "--eos", &c.eos, "", "text without entropies: EOS follows");
}

void describe(Fields& fields, ShowConfig& c) {
  describe_corpus(fields, c.corpus, "folders of shards, or corpus files and how to cut them");
  fields.group("Output");
  Field& limit = fields.add("limit", "-l,--limit", &c.limit, "N", "documents to show; 0: all");
  limit.min = 0;
  limit.common = true;
  Field& bytes =
      fields.add("max_bytes", "--max-bytes", &c.max_bytes, "SIZE", "of each document; 0: all");
  bytes.min = 0;
  bytes.sized = true;
  bytes.common = true;
  fields.add("json", "--json", &c.json, "", "JSON lines").common = true;
  describe_rules(fields, c.rules, "strided, topk: bytes a patch, a whole number, 4 by default.");
  describe_model(fields, c.model);
}

void describe(Fields& fields, CatConfig& c) {
  fields.positional("SHARDS", &c.inputs, "folders of shards, or single shard files").required =
      true;
  fields.group("Output");
  fields.add("entropies", "--entropies", &c.entropies, "", "with the stored entropies").common =
      true;
  Field& skip = fields.add("skip", "--skip", &c.skip, "N", "leave out the first documents");
  skip.min = 0;
  skip.common = true;
  Field& limit = fields.add("limit", "-l,--limit", &c.limit, "N", "documents to write; 0: all");
  limit.min = 0;
  limit.common = true;
}

void describe(Fields& fields, VerifyConfig& c) {
  fields.positional("SHARDS", &c.folders, "folders of shards").required = true;
  fields.group("Output");
  describe_json(fields, c.json);
}

void describe(Fields& fields, RecutConfig& c) {
  fields.positional("SHARDS", &c.inputs, "folders of shards, or single shard files").required =
      true;
  describe_output(fields, c, "It appears when it is complete, or not at all.");
  fields.add("drop_entropies", "--drop-entropies", &c.drop_entropies, "",
             "leave the entropies out; else they are kept as they are");
  describe_level(fields, c.level);
  describe_json(fields, c.json);
  describe_rules(fields, c.rules, fitted_size);
  describe_sample(fields, c.sample_size, c.seed);
}

void describe(Fields& fields, ExportConfig& c) {
  fields.positional("SHARDS", &c.inputs, "folders of shards, or single shard files").required =
      true;
  fields.group("Output");
  Field& to = fields.add("to", "--to", &c.to, "FORMAT", "what to write");
  to.choices = {"arrow"};
  to.required = true;
  to.common = true;
  to.details =
      "arrow: an Arrow IPC file with the columns sample_id, text and entropies (float16) as Meta's "
      "preprocess_entropies makes it, and an empty FILE.complete beside it.";
  Field& output = fields.add("output", "-o,--output", &c.output, "FILE", "the file to make");
  output.required = true;
  output.common = true;
  output.details = "It appears when it is complete, or not at all.";
  fields.add("force", "-f,--force", &c.force, "", "replace an existing file").common = true;
  Field& policy = fields.add("on_error", "--on-error", &c.on_error, "POLICY",
                             "what a document does whose text is not valid UTF-8");
  policy.choices = {"fail", "skip"};
}

void describe(Fields& fields, CalibrateConfig& c) {
  describe_corpus(fields, c.corpus, "corpus files or folders, or folders of shards with entropies");
  describe_model(fields, c.model);
  fields.group("Patches");
  Field& schemes = fields.add("scheme", "-s,--scheme", &c.schemes, "SCHEME",
                              "fit this scheme; repeat it for more");
  schemes.choices = {"entropy", "monotonic", "combined"};
  schemes.common = true;
  Field& sizes = fields.add("patch_size", "-p,--patch-size", &c.patch_sizes, "BYTES,...",
                            "the mean patch sizes");
  sizes.min = 1;
  sizes.common = true;
  describe_threshold_add(fields, c.threshold_add);
  describe_limits(fields, c.max_patch_length, c.newline_reset);
  describe_sample(fields, c.sample_size, c.seed);
  fields.group("Output");
  fields.add("compare_dtypes", "--compare-dtypes", &c.compare_dtypes, "",
             "also tell how many boundaries bfloat16 and int8 would move")
      .details = "At the thresholds found with float32, on the same sample; int8 on the CPU only.";
  describe_json(fields, c.json);
}

}  // namespace blt::config
