// SPDX-License-Identifier: MIT
#include "blt/patch/export.h"

#include <memory>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/signals.h"
#include "blt/io/arrow_writer.h"
#include "blt/shard/shard.h"
#include "blt/text/utf8.h"

namespace blt::patch {

ExportResult export_arrow(const ExportOptions& options, Reporter& reporter) {
  const std::string marker = options.output + ".complete";
  io::ArrowWriter writer(options.output, options.force);
  check_output_path(marker, options.force);
  std::vector<std::unique_ptr<shard::Reader>> readers;
  std::uint64_t total = 0;
  for (const auto& path : options.shards) {
    readers.push_back(std::make_unique<shard::Reader>(path));
    total += readers.back()->manifest().bytes();
    if (!readers.back()->manifest().has_entropies) {
      throw usage_error(cat(path, ": these shards hold no entropies"),
                        "--keep-entropies stores them");
    }
  }
  ExportResult result;
  std::string first_skipped;
  const auto tell = [&](bool finished) {
    reporter.progress({"export", result.bytes, total, "B", {}, finished});
  };
  for (std::size_t i = 0; i < readers.size(); ++i) {
    for (shard::Record record; !stop_signal() && readers[i]->next(record);) {
      const std::string id = text::replace_invalid(record.id);
      if (!text::is_valid_utf8(record.text)) {
        const std::string problem =
            cat(options.shards[i], ": document \"", id, "\" is not valid UTF-8");
        if (options.on_error != "skip")
          throw input_error(problem,
                            "Arrow's strings are; --on-error skip leaves such documents out");
        if (result.skipped++ == 0) first_skipped = problem;
        continue;
      }
      writer.add(id, record.text, record.entropies);
      ++result.documents;
      result.bytes += record.text.size();
      if (result.documents % 1024 == 0) tell(false);
    }
  }
  if ((result.signal = stop_signal())) return result;
  result.file_bytes = writer.finish();
  write_file(marker, "");
  tell(true);
  if (result.skipped > 0) {
    reporter.problem(cat("left out ", result.skipped,
                         result.skipped == 1 ? " document" : " documents", ": ", first_skipped));
  }
  return result;
}

}  // namespace blt::patch
