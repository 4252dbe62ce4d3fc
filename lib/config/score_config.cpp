// SPDX-License-Identifier: MIT
#include "blt/config/score_config.h"

#include "shared_options.h"

namespace blt::config {

void describe(Fields& fields, ScoreConfig& c) {
  fields.positional("MODEL", &c.model, "folder of a BLT or a byte LM").required = true;
  fields.positional("INPUT", &c.inputs, "texts and JSON lines, files or folders; - or none: standard input").details =
      "Plain, gzip and zstd files are told by their first bytes.";
  fields.group("Input");
  Field& format = fields.add("format", "--format", &c.format, "FORMAT",
                             "what files hold; auto: JSON lines by their names, else a text");
  format.choices = {"auto", "jsonl", "text"};
  format.common = true;
  Field& join = fields.add("join", "--join", &c.join, "TEXT",
                           "between a query and a choice, or a context and its continuation");
  join.common = true;
  join.details = "It is given, as the query is: its bytes are not scored.";
  Field& limit =
      fields.add("limit", "--limit", &c.limit, "N", "the first N rows of each file; 0: all");
  limit.common = true;
  limit.min = 0;
  fields.add("on_error", "--on-error", &c.on_error, "POLICY", "what a bad row does").choices = {
      "fail", "skip"};
  Field& eos = fields.add("eos", "--eos", &c.eos, "", "also count predicting EOS behind each text");
  eos.details = "Behind each choice and continuation too. Divisors stay the number of bytes.";
  fields.group("Output");
  fields.add("json", "--json", &c.json, "", "report as JSON").common = true;
  Field& output = fields.add("output", "-o,--output", &c.output, "FILE",
                             "also write each row's scores, one JSON object a line");
  output.common = true;
  output.details =
      "The object has file; of a text log_likelihood, bytes and bits_per_byte; of choices line, "
      "log_likelihoods, bytes, choice, choice_per_byte and gold; of a continuation line, "
      "log_likelihood, bytes, bits_per_byte and greedy.";
  fields.add("force", "-f,--force", &c.force, "", "replace an existing file");
  fields.group("Model");
  describe_decoding_options(fields, c.options);
}

}  // namespace blt::config
