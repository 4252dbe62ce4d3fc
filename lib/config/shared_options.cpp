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
  fields.add("on_error", "--on-error", &on_error, "POLICY", "what a bad record does").choices = {"fail", "skip"};
}

void describe_device(Fields& fields, std::string& device, std::string& dtype, const char* automatic) {
  fields.add("device", "--device", &device, "DEVICE", "where the model runs: cpu, cuda, cuda:N").environment =
      "BLT_DEVICE";
  fields.add("dtype", "--dtype", &dtype, "TYPE", std::string("of matrix products; auto: ") + automatic).choices = {
      "auto", "float32", "bfloat16"};
}

}  // namespace blt::config
