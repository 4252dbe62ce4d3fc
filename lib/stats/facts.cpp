// SPDX-License-Identifier: MIT
#include "blt/stats/facts.h"

#include <cmath>

#include "blt/base/error.h"
#include "blt/base/signals.h"
#include "blt/base/table.h"
#include "blt/base/units.h"
#include "blt/shard/shard.h"
#include "blt/text/utf8.h"

namespace blt::stats {
namespace {

double ratio(double a, double b) {
  return b == 0 ? 0 : a / b;
}

void collect(const Json& value, const std::string& key, std::string& out) {
  if (value.is_object()) {
    for (const auto& [name, part] : value.items())
      collect(part, key.empty() ? name : key + "." + name, out);
    return;
  }
  const std::string text = value.is_string() ? value.get<std::string>() : dump_json(value);
  out += text::escape(key) + std::string(key.size() < 30 ? 30 - key.size() : 1, ' ') +
         text::escape(text) + "\n";
}

// "scheme entropy, threshold 1.3": what is set, one object deep.
std::string told(const Json& facts) {
  std::string out;
  for (const auto& [key, value] : facts.items()) {
    if (value.is_null() || value == false) continue;
    const std::string text = value.is_string() ? value.get<std::string>() : dump_json(value);
    out += (out.empty() ? "" : ", ") + (key.empty() ? "" : key + " ") + text;
  }
  return out.empty() ? "none" : text::escape(out);
}

// Lengths 1 to 16 one a row, longer ones in powers of two, with bars.
std::string bars(const LengthCounts& lengths) {
  struct Row {
    std::string label;
    std::uint64_t count;
  };
  std::vector<Row> rows;
  std::uint64_t most = 0;
  const auto histogram = lengths.histogram();
  for (std::uint64_t low = 1; low <= lengths.max();) {
    const std::uint64_t high = low <= 16 ? low : 2 * (low - 1);
    std::uint64_t count = 0;
    for (auto it = histogram.lower_bound(low); it != histogram.end() && it->first <= high; ++it)
      count += it->second;
    rows.push_back({low == high ? std::to_string(low) : cat(low, "-", high), count});
    most = std::max(most, count);
    low = high + 1;
  }
  std::string out;
  for (const auto& row : rows) {
    const double share =
        ratio(static_cast<double>(row.count), static_cast<double>(lengths.count()));
    const auto width = static_cast<std::size_t>(
        std::lround(ratio(40.0 * static_cast<double>(row.count), static_cast<double>(most))));
    const std::string percent = format_fixed(100 * share, 2);
    out += std::string(12 - std::min<std::size_t>(12, row.label.size()), ' ') + row.label +
           std::string(9 - std::min<std::size_t>(9, percent.size()), ' ') + percent + " %" +
           (width > 0 ? "  " + std::string(width, '#') : "") + "\n";
  }
  return out;
}

}  // namespace

ShardFacts read_shard_facts(const std::string& folder, Reporter& reporter) {
  shard::Reader reader(folder);
  const shard::Manifest& manifest = reader.manifest();
  ShardFacts facts;
  facts.shards = manifest.shards.size();
  facts.has_entropies = manifest.has_entropies;
  facts.patching = manifest.patching;
  facts.entropy_model = manifest.entropy_model;
  for (const auto& shard : manifest.shards) facts.file_bytes += shard.file_bytes;
  shard::Record record;
  double entropy_sum = 0;
  std::uint64_t entropy_count = 0, told = 0;
  while (!stop_signal() && reader.next(record)) {
    ++facts.documents;
    facts.bytes += record.text.size();
    facts.document_bytes.add(record.text.size());
    add_text_lengths(record.patch_lengths, 1, 1, facts.patch_lengths);
    for (const float entropy : record.entropies) entropy_sum += entropy;
    entropy_count += record.entropies.size();
    if (facts.bytes - told > (4u << 20)) {
      told = facts.bytes;
      reporter.progress({"shards", facts.bytes, manifest.bytes(), "B", {}, false});
    }
  }
  reporter.progress({"shards", facts.bytes, manifest.bytes(), "B", {}, true});
  facts.patches = manifest.patches();
  facts.entropy_mean = ratio(entropy_sum, static_cast<double>(entropy_count));
  return facts;
}

Json to_json(const ShardFacts& facts) {
  Json out = {{"shards", facts.shards},
              {"documents", facts.documents},
              {"bytes", facts.bytes},
              {"file_bytes", facts.file_bytes},
              {"patches", facts.patches},
              {"patching", facts.patching},
              {"entropy_model", facts.entropy_model},
              {"has_entropies", facts.has_entropies}};
  if (facts.has_entropies) out["entropy_mean_nats"] = facts.entropy_mean;
  out["patch_lengths"] = lengths_json(facts.patch_lengths, true);
  out["document_bytes"] = lengths_json(facts.document_bytes, false);
  return out;
}

std::string to_text(const ShardFacts& facts) {
  const auto number = [](std::uint64_t n) { return static_cast<double>(n); };
  std::string out;
  const auto line = [&](const std::string& key, const std::string& value) {
    out += key + std::string(18 - key.size(), ' ') + value + "\n";
  };
  const LengthCounts& patches = facts.patch_lengths;
  const LengthCounts& documents = facts.document_bytes;
  line("documents", std::to_string(facts.documents));
  line("text",
       cat(facts.bytes, " bytes; a document: mean ", format_fixed(documents.mean(), 1), ", median ",
           format_fixed(documents.median(), 1), ", longest ", documents.max()));
  const double density = ratio(8 * number(facts.file_bytes), number(facts.bytes));
  line("files", cat(facts.shards, ", ", format_bytes(number(facts.file_bytes)), ", ",
                    format_fixed(density, 2), " bits a text byte"));
  line("patches", cat(facts.patches, ", of them ", patches.count(), " with text"));
  line("patch lengths", cat("mean ", format_fixed(patches.mean(), 3), " bytes of text, median ",
                            format_fixed(patches.median(), 1), ", p90 ", patches.percentile(90),
                            ", p99 ", patches.percentile(99), ", longest ", patches.max()));
  line("patching", told(facts.patching));
  line("entropy model", told(facts.entropy_model));
  line("entropies", facts.has_entropies
                        ? cat("kept, mean ", format_fixed(facts.entropy_mean, 4), " nats")
                        : "not kept");
  return out + "\nPatch lengths in bytes of text\n" + bars(patches);
}

std::string facts_text(const Json& facts) {
  std::string out;
  collect(facts, "", out);
  return out;
}

}  // namespace blt::stats
