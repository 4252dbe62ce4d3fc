// SPDX-License-Identifier: MIT
#include "blt/config/generate_config.h"

#include "shared_options.h"

#include "blt/base/error.h"

namespace blt {

void check(const GenerateConfig& c) {
  for (const auto& stop : c.stop) {
    if (stop.empty()) throw usage_error("--stop: an empty string would stop before the first byte");
  }
  if (!c.rows.empty()) {
    if (!c.prompts.empty() || !c.prompt_files.empty())
      throw usage_error("--prompts and --prompt or --prompt-file exclude each other");
    if (c.raw || c.show_patches || c.echo)
      throw usage_error("--prompts writes JSON lines", "leave out --raw, --show-patches and --echo");
  } else if (c.batch != 0) {
    throw usage_error("--batch is the number of rows of --prompts at once");
  }
  const char* constraint = nullptr;
  for (const auto& [flag, value] : {std::pair("--grammar", &c.grammar),
                                    {"--json-schema", &c.json_schema},
                                    {"--regex", &c.regex},
                                    {"--choices", &c.choices}}) {
    if (!*value) continue;
    if (constraint) throw usage_error(cat(constraint, " and ", flag, " exclude each other"));
    constraint = flag;
  }
  if (c.speculate != "off" && c.engine == "exact")
    throw usage_error("--speculate needs --engine cached");
  if (c.draft && c.speculate == "off") throw usage_error("--draft needs --speculate");
  if (c.show_patches && c.json) throw usage_error("--show-patches and --json exclude each other");
  if (c.show_patches && c.raw) throw usage_error("--show-patches and --raw exclude each other");
  if (c.raw && c.json)
    throw usage_error("--raw and --json exclude each other",
                      "--json keeps every byte: see \"bytes_base64\"");
}

}  // namespace blt

namespace blt::config {
namespace {

void describe_prompts(Fields& fields, GenerateConfig& c) {
  fields.positional("MODEL", &c.model, "folder of a BLT or a byte LM").required = true;
  fields.group("Prompt");
  Field& prompt = fields.add("prompt", "-p,--prompt", &c.prompts, "TEXT",
                             "text to go on from; repeat it for more");
  prompt.common = true;
  prompt.details =
      "Without prompts standard input is one, byte for byte, its last newline included.";
  fields
      .add("prompt_file", "--prompt-file", &c.prompt_files, "FILE",
           "a file that is a prompt; repeat it for more")
      .details = "- is standard input.";
  Field& rows = fields.add("prompts", "--prompts", &c.rows, "FILE",
                           "JSON lines, each a prompt; a JSON line a prompt comes out, in order");
  rows.common = true;
  rows.details =
      "A row has prompt or prompt_base64, and may have id, which is given back, and seed, which takes "
      "the place of the one that --seed and the row's number give. A row's text depends on no other "
      "row. - is standard input; gzip and zstd are told by their first bytes. Output as with --json.";
  Field& batch = fields.add("batch", "--batch", &c.batch, "N",
                            "rows of --prompts at once, which share the threads; 0: one a thread");
  batch.min = 0;
  batch.max = 1024;
}

void describe_length(Fields& fields, GenerateConfig& c) {
  fields.group("Length");
  Field& bytes = fields.add("max_bytes", "-n,--max-bytes", &c.max_bytes, "BYTES",
                            "bytes to write after each prompt, at most");
  bytes.sized = true;
  bytes.common = true;
  bytes.min = 0;
  bytes.max = 1e12;
  fields.add("stop", "--stop", &c.stop, "TEXT", "stop before this text; repeat it for more")
      .common = true;
  fields.add("ignore_eos", "--ignore-eos", &c.ignore_eos, "",
             "never choose the end of the document");
}

void describe_sampling(Fields& fields, GenerateConfig& c) {
  fields.group("Sampling");
  fields.add("greedy", "--greedy", &c.greedy, "", "always the most likely byte, as --temperature 0")
      .common = true;
  Field& temperature =
      fields.add("temperature", "-t,--temperature", &c.temperature, "T", "divides the logits");
  temperature.common = true;
  temperature.min = 0;
  temperature.max = 1000;
  Field& top_k =
      fields.add("top_k", "--top-k", &c.top_k, "K", "choose among the K most likely bytes; 0: all");
  top_k.min = 0;
  top_k.max = 260;
  top_k.details = "Filters come after the temperature and in this order: top-k, top-p, min-p.";
  Field& top_p = fields.add("top_p", "--top-p", &c.top_p, "P",
                            "choose among the fewest bytes that have this probability in sum");
  top_p.min = 0;
  top_p.max = 1;
  Field& min_p = fields.add("min_p", "--min-p", &c.min_p, "P",
                            "leave out bytes below this share of the best one's probability");
  min_p.min = 0;
  min_p.max = 1;
  Field& seed = fields.add("seed", "--seed", &c.seed, "N",
                           "of the choices; otherwise a random one, which is told");
  seed.common = true;
  seed.min = 0;
}

void describe_constraints(Fields& fields, GenerateConfig& c) {
  fields.group("Constraints");
  Field& grammar = fields.add("grammar", "--grammar", &c.grammar, "NAME", "write a JSON text");
  grammar.choices = {"json"};
  grammar.details =
      "Bytes that lead out of what is asked for have no probability. The text ends by itself where "
      "nothing may follow; --max-bytes may end it before. The prompt is no part of it. Of these "
      "options one at most; each may have --utf8 beside it.";
  fields
      .add("json_schema", "--json-schema", &c.json_schema, "FILE",
           "write a JSON text that meets this JSON Schema")
      .details =
      "type, properties, required, additionalProperties, items, prefixItems, minItems, maxItems, "
      "enum, const, minLength, maxLength, pattern, minimum, maximum, exclusiveMinimum, "
      "exclusiveMaximum, anyOf, oneOf (as anyOf) and $ref within the schema; other keywords that "
      "say what is valid are errors. Members come in the schema's order.";
  fields
      .add("regex", "--regex", &c.regex, "PATTERN",
           "write a text that the regular expression matches from end to end")
      .details = "ECMAScript's syntax without back references and assertions.";
  fields.add("choices", "--choices", &c.choices, "A|B|C", "write one of these texts").details =
      "\\| stands for a | within a text, \\\\ for a \\.";
  fields.add("utf8", "--utf8", &c.utf8, "", "write valid UTF-8 only");
}

void describe_output(Fields& fields, GenerateConfig& c) {
  fields.group("Output");
  fields.add("echo", "--echo", &c.echo, "", "write the prompt before the text").common = true;
  fields.add("raw", "--raw", &c.raw, "", "every byte as it is and nothing else").details =
      "Otherwise text appears in whole characters, bytes that are not UTF-8 appear as U+FFFD, and "
      "a newline ends each text.";
  fields
      .add("show_patches", "--show-patches", &c.show_patches, "",
           "mark the borders of patches with |")
      .details = "Control characters and bytes that are no whole character are escaped.";
  Field& json =
      fields.add("json", "--json", &c.json, "", "one JSON object a prompt instead of the text");
  json.common = true;
  json.details =
      "prompt, text, finish_reason (length, eos, stop, constraint or signal), bytes, patches, seconds, "
      "bytes_per_second, prompt_bytes, "
      "prompt_seconds, seed. prompt_base64 and bytes_base64 stand for a prompt and a text that are "
      "not valid UTF-8.";
  fields.add("output", "-o,--output", &c.output, "FILE",
             "write to a file instead of standard output");
  fields.add("force", "-f,--force", &c.force, "", "replace an existing file");
}

void describe_engine(Fields& fields, GenerateConfig& c) {
  fields.group("Model");
  describe_decoding_options(fields, c.options);
  Field& engine =
      fields.add("engine", "--engine", &c.engine, "NAME",
                 "cached: keys and values are kept; exact: all is computed anew for each byte");
  engine.choices = {"cached", "exact"};
  engine.details =
      "Both give the same text up to rounding; exact is slow and there to check the other.";
  Field& speculate = fields.add("speculate", "--speculate", &c.speculate, "SOURCE",
                                "draft bytes and check them together; the text's distribution stays the same");
  speculate.choices = {"off", "auto", "heads", "latent", "lookup"};
  speculate.common = true;
  speculate.details =
      "heads: prediction heads that blt-train --mtp trained. latent: a BLT's decoder goes on past the patch with the latent "
      "that it has. lookup: any model; what followed where the last 5 bytes stood before, in the prompt or in the text. auto: lookup "
      "where the text repeats itself, elsewhere latent, with the heads to draft what the decoder says, or the heads of a byte LM. "
      "-v tells how many drafted bytes were kept.";
  Field& draft = fields.add("draft", "--draft", &c.draft, "N",
                            "bytes to draft at a time at most, of any source; otherwise 20, or one a head beside the first");
  draft.min = 1;
  draft.max = 31;  // with the byte before them, kernels::few_rows
}

}  // namespace

void describe(Fields& fields, GenerateConfig& c) {
  describe_prompts(fields, c);
  describe_length(fields, c);
  describe_sampling(fields, c);
  describe_constraints(fields, c);
  describe_output(fields, c);
  describe_engine(fields, c);
}

}  // namespace blt::config
