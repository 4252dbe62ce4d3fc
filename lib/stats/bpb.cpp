// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "batches.h"
#include "blt/base/error.h"
#include "blt/base/table.h"
#include "blt/base/units.h"
#include "blt/config/stats_config.h"
#include "blt/patch/entropy_source.h"
#include "blt/stats/compress.h"
#include "blt/stats/lengths.h"
#include "blt/stats/score.h"
#include "blt/text/utf8.h"

namespace blt::stats {
namespace {

double ratio(double a, std::uint64_t b) {
  return b == 0 ? 0 : a / static_cast<double>(b);
}

// The losses of ids[1..]: the document's bytes and, with EOS in ids, EOS.
double sum_of_losses(const Scorer::Result& result, std::size_t targets) {
  if (result.losses.size() != targets)
    throw internal_error("the scorer gave another number of losses than targets");
  double sum = 0;
  for (const float loss : result.losses) sum += loss;
  if (!std::isfinite(sum)) throw input_error("the model gives losses that are not numbers");
  return sum;
}

bool in_split(const BpbConfig& config, const std::string& id) {
  return config.split == "all" || io::held_out(id, config.held_out) == (config.split == "held-out");
}

void add(BpbReport::Group& group, const BpbReport::Group& part) {
  group.documents += part.documents;
  group.bytes += part.bytes;
  group.nats += part.nats;
  group.patches += part.patches;
}

Json group_json(const BpbReport::Group& group) {
  Json out = {{"documents", group.documents},
              {"bytes", group.bytes},
              {"nats", group.nats},
              {"bits_per_byte", group.bits_per_byte()}};
  if (group.patches > 0) {
    out["patches"] = group.patches;
    out["patch_size"] = group.patch_size();
  }
  return out;
}

}  // namespace

double BpbReport::Group::bits_per_byte() const {
  return ratio(nats / std::numbers::ln2, bytes);
}
double BpbReport::Group::patch_size() const {
  return ratio(static_cast<double>(bytes), patches);
}

BpbReport measure_bpb(const BpbConfig& config, Scorer& scorer, Reporter& reporter) {
  InputReader reader(config.input);
  BpbReport report;
  report.kind = scorer.kind();
  report.eos = config.eos;
  std::vector<std::unique_ptr<CompressedSize>> compressors;
  if (config.compare) {
    compressors.push_back(gzip_size());
    if (auto xz = xz_size())
      compressors.push_back(std::move(xz));
    else
      reporter.warn("built without liblzma: no figure for xz");
  }
  std::map<std::string, BpbReport::Group> groups;
  const auto wanted = [&](const InputDocument& d) { return in_split(config, d.document.id); };
  for_each_batch(reader, scorer.batch_bytes(), config.eos, wanted, [&](Batch& batch) {
    const auto results = scorer.score(batch.ids, false);
    if (results.size() != batch.ids.size()) throw internal_error("the scorer lost a document");
    for (std::size_t i = 0; i < results.size(); ++i) {
      const io::Document& document = batch.documents[i].document;
      LengthCounts patches;
      add_text_lengths(results[i].patch_lengths, 1, config.eos ? 2 : 1, patches);
      const double nats = with_context(
          document.id, [&] { return sum_of_losses(results[i], batch.ids[i].size() - 1); });
      const BpbReport::Group part{document.group, 1, document.text.size(), nats, patches.count()};
      add(report.all, part);
      BpbReport::Group& group = groups[document.group];
      group.name = document.group;
      add(group, part);
      for (auto& compressor : compressors) compressor->add(document.text);
    }
    reporter.progress({"score",
                       reader.done(),
                       reader.total(),
                       "B",
                       {{"bits/byte", format_fixed(report.all.bits_per_byte(), 3)}},
                       false});
  });
  reporter.progress({"score", reader.done(), reader.total(), "B", {}, true});
  warn_skipped(reader, reporter);
  if (stop_signal()) return report;
  if (report.all.bytes == 0) {
    throw input_error(config.split == "all" ? "no bytes to score in the inputs"
                                            : cat("no bytes to score: --split ", config.split,
                                                  " --held-out ", format_double(config.held_out),
                                                  " leaves ", report.all.documents, " documents"));
  }
  for (auto& compressor : compressors) {
    const std::uint64_t bytes = compressor->finish();
    report.compressors.push_back(
        {compressor->name(), bytes, ratio(8.0 * static_cast<double>(bytes), report.all.bytes)});
  }
  if (groups.size() > 1 || !groups.begin()->first.empty()) {
    for (auto& [name, group] : groups) report.groups.push_back(std::move(group));
  }
  return report;
}

Json to_json(const BpbReport& report) {
  Json out = {{"model", report.kind}, {"eos", report.eos}};
  out.update(group_json(report.all));
  out["compressors"] = Json::array();
  for (const auto& c : report.compressors) {
    out["compressors"].push_back(
        {{"name", c.name}, {"bytes", c.bytes}, {"bits_per_byte", c.bits_per_byte}});
  }
  out["groups"] = Json::array();
  for (const auto& group : report.groups) {
    Json entry = {{"group", group.name}};
    entry.update(group_json(group));
    out["groups"].push_back(std::move(entry));
  }
  return out;
}

std::string to_text(const BpbReport& report) {
  const bool patches = report.all.patches > 0;
  std::vector<std::string> header = {"", "bits/byte", "documents", "bytes"};
  if (patches) header.push_back("bytes/patch");
  Table table(std::move(header));
  const auto row = [&](const std::string& name, const BpbReport::Group& group) {
    std::vector<std::string> cells = {name, format_fixed(group.bits_per_byte(), 4),
                                      std::to_string(group.documents), std::to_string(group.bytes)};
    if (patches) cells.push_back(format_fixed(group.patch_size(), 3));
    table.add(std::move(cells));
  };
  row(report.kind, report.all);
  for (const auto& group : report.groups)
    row("  " + (group.name.empty() ? "(none)" : text::escape(group.name)), group);
  for (const auto& c : report.compressors) {
    std::vector<std::string> cells = {c.name, format_fixed(c.bits_per_byte, 4),
                                      std::to_string(report.all.documents),
                                      std::to_string(report.all.bytes)};
    if (patches) cells.emplace_back();
    table.add(std::move(cells));
  }
  return table.text();
}

}  // namespace blt::stats
