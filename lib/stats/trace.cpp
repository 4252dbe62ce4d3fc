// SPDX-License-Identifier: MIT
#include "batches.h"
#include "blt/base/error.h"
#include "blt/base/units.h"
#include "blt/config/stats_config.h"
#include "blt/io/safetensors.h"
#include "blt/patch/entropy_source.h"
#include "blt/stats/score.h"
#include "blt/text/utf8.h"

namespace blt::stats {
namespace {

struct Traced {
  std::string id;
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> patch_lengths;
  Scorer::Result result;
};

template <class T>
std::span<const std::byte> raw(const std::vector<T>& values) {
  return std::as_bytes(std::span<const T>(values));
}

Traced check(const std::string& id, const std::vector<patch::TokenId>& ids, Scorer::Result result,
             bool logits) {
  Traced out{
      id, {ids.begin(), ids.end()}, {result.patch_lengths.begin(), result.patch_lengths.end()}, {}};
  if (!result.entropies.empty() && result.entropies.size() != ids.size())
    throw internal_error("the scorer gave another number of entropies");
  if (logits && result.logits.size() != ids.size() * patch::vocab_size)
    throw internal_error("the scorer gave another number of logits");
  out.result = std::move(result);
  return out;
}

void write_file(const TraceConfig& config, const std::string& kind,
                const std::vector<Traced>& all) {
  const auto size = [](const auto& v) { return static_cast<std::int64_t>(v.size()); };
  io::SafetensorsWriter writer(config.output, config.force);
  writer.metadata("model", kind);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string name = std::to_string(i);
    const Traced& t = all[i];
    writer.metadata(name, text::replace_invalid(t.id));
    writer.declare(name + ".ids", io::DType::i64, {size(t.ids)});
    if (!t.result.entropies.empty())
      writer.declare(name + ".entropies", io::DType::f32, {size(t.result.entropies)});
    if (!t.patch_lengths.empty())
      writer.declare(name + ".patch_lengths", io::DType::i64, {size(t.patch_lengths)});
    if (config.logits)
      writer.declare(name + ".logits", io::DType::f32, {size(t.ids), patch::vocab_size});
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string name = std::to_string(i);
    const Traced& t = all[i];
    writer.write(name + ".ids", raw(t.ids));
    if (!t.result.entropies.empty()) writer.write(name + ".entropies", raw(t.result.entropies));
    if (!t.patch_lengths.empty()) writer.write(name + ".patch_lengths", raw(t.patch_lengths));
    if (config.logits) writer.write(name + ".logits", raw(t.result.logits));
  }
  writer.commit();
}

}  // namespace

TraceCounts write_trace(const TraceConfig& config, Scorer& scorer, Reporter& reporter) {
  check_output_path(config.output, config.force);
  InputReader reader(config.input);
  std::vector<Traced> all;
  TraceCounts counts;
  std::uint64_t bytes = 0;
  const auto wanted = [&](const InputDocument& document) {
    bytes += document.document.text.size();
    if (bytes > static_cast<std::uint64_t>(config.max_bytes)) {
      throw input_error(cat("more text than ", format_bytes(static_cast<double>(config.max_bytes))),
                        "a trace takes 1 KiB a byte; --max-bytes raises the limit");
    }
    return true;
  };
  for_each_batch(reader, scorer.batch_bytes(), config.eos, wanted, [&](Batch& batch) {
    auto results = scorer.score(batch.ids, config.logits);
    if (results.size() != batch.ids.size()) throw internal_error("the scorer lost a document");
    for (std::size_t i = 0; i < results.size(); ++i) {
      counts.positions += batch.ids[i].size();
      all.push_back(check(batch.documents[i].document.id, batch.ids[i], std::move(results[i]),
                          config.logits));
    }
    reporter.progress({"trace", reader.done(), reader.total(), "B", {}, false});
  });
  reporter.progress({"trace", reader.done(), reader.total(), "B", {}, true});
  warn_skipped(reader, reporter);
  if (stop_signal()) return counts;
  if (all.empty()) throw input_error("no documents in the inputs");
  counts.documents = all.size();
  write_file(config, scorer.kind(), all);
  return counts;
}

}  // namespace blt::stats
