// SPDX-License-Identifier: MIT
// Shards -> files of other programs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "blt/base/reporter.h"

namespace blt::patch {

struct ExportOptions {
  std::vector<std::string> shards;  // folders, or single shard files, with entropies
  std::string output;
  bool force = false;
  std::string on_error = "fail";  // skip: leaves out documents whose text is not valid UTF-8
};

struct ExportResult {
  std::uint64_t documents = 0, bytes = 0, file_bytes = 0;
  std::uint64_t skipped = 0;
  int signal = 0;  // the signal that stopped it; nothing was written then
};

// Writes output, an Arrow IPC file as Meta's preprocess_entropies makes them, and then the empty
// file output + ".complete" that its readers look for. Errors: usage (shards without entropies),
// input (text that is not valid UTF-8), output.
ExportResult export_arrow(const ExportOptions& options, Reporter& reporter);

}  // namespace blt::patch
