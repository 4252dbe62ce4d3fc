// SPDX-License-Identifier: MIT
#include "blt/patch/calibrate.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <queue>

#include "blt/base/error.h"
#include "blt/base/random.h"
#include "blt/base/signals.h"
#include "blt/base/table.h"
#include "blt/base/units.h"
#include "blt/patch/entropy_source.h"
#include "blt/patch/segmenter.h"
#include "blt/text/utf8.h"
#include "sample_cuts.h"

namespace blt::patch {
namespace {

struct Piece {
  std::uint64_t key = 0, number = 0, document = 0;
  std::string text, group;
  std::vector<float> entropies;
  bool operator<(const Piece& other) const {
    return key != other.key ? key < other.key : number < other.number;
  }
};

std::uint64_t count_patches(const Sample& sample, const Rules& rules) {
  const auto patches = patches_of(sample, rules);
  return std::accumulate(patches.begin(), patches.end(), std::uint64_t{0});
}

}  // namespace

std::vector<float> compared_values(const Sample& sample, Scheme scheme) {
  std::vector<float> values;
  for (const auto& h : sample.entropies) {
    // The entropy at p decides whether p + 1 starts a patch; the last position decides nothing.
    for (std::size_t p = 1; p + 1 < h.size(); ++p) {
      values.push_back(scheme == Scheme::monotonic ? h[p] - h[p - 1] : h[p]);
    }
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

double threshold_below(const std::vector<float>& values, std::size_t k) {
  if (values.empty()) return 0;
  if (k == 0) return std::nextafter(values[0], -std::numeric_limits<float>::infinity());
  if (k == values.size()) return values.back();
  const float middle = static_cast<float>((static_cast<double>(values[k - 1]) + values[k]) / 2);
  return middle < values[k] ? middle : values[k - 1];
}

std::vector<std::uint64_t> patches_of(const Sample& sample, const Rules& rules) {
  std::vector<std::uint64_t> patches(sample.texts.size());
  oneapi::tbb::parallel_for(std::size_t{0}, patches.size(), [&](std::size_t i) {
    patches[i] = cut_document(sample.texts[i], sample.entropies[i], rules).size();
  });
  return patches;
}

struct Sampler::Impl {
  std::uint64_t limit, seed, number = 0, document = 0, bytes = 0;
  std::priority_queue<Piece> kept;

  void add(std::string_view text, std::vector<float> entropies, const std::string& group) {
    if (text.empty()) return;
    const std::uint64_t key = mix_seed(seed, number++);
    if (bytes >= limit && key > kept.top().key) return;
    kept.push({key, number, document, std::string(text), group, std::move(entropies)});
    bytes += text.size();
    while (bytes - kept.top().text.size() >= limit) {
      bytes -= kept.top().text.size();
      kept.pop();
    }
  }
};

Sampler::Sampler(std::uint64_t bytes, std::uint64_t seed) : impl_(std::make_unique<Impl>()) {
  impl_->limit = std::max<std::uint64_t>(bytes, 1);
  impl_->seed = seed;
}
Sampler::~Sampler() = default;

void Sampler::add(std::string_view text, const std::string& group) {
  for (std::size_t from = 0; from < text.size(); from += piece_bytes)
    impl_->add(text.substr(from, piece_bytes), {}, group);
  ++impl_->document;
}

void Sampler::add(std::string_view text, std::vector<float> entropies, const std::string& group) {
  impl_->add(text, std::move(entropies), group);
  ++impl_->document;
}

Sample Sampler::take() {
  std::vector<Piece> pieces;
  for (; !impl_->kept.empty(); impl_->kept.pop()) pieces.push_back(impl_->kept.top());
  if (pieces.empty()) throw input_error("no text to calibrate on");
  std::sort(pieces.begin(), pieces.end(),
            [](const Piece& a, const Piece& b) { return a.number < b.number; });
  Sample sample;
  for (auto& piece : pieces) {
    sample.bytes += piece.text.size();
    sample.texts.push_back(std::move(piece.text));
    sample.entropies.push_back(std::move(piece.entropies));
    sample.groups.push_back(std::move(piece.group));
    sample.documents.push_back(piece.document);
  }
  impl_->bytes = 0;
  return sample;
}

void add_entropies(Sample& sample, EntropySource& source, bool newline_reset, Reporter* reporter) {
  sample.entropies.clear();
  const std::uint64_t batch = std::max<std::uint64_t>(source.batch_bytes(), 1);
  std::uint64_t done = 0;
  for (std::size_t from = 0; from < sample.texts.size() && !stop_signal();) {
    std::vector<std::string_view> texts;
    std::uint64_t bytes = 0;
    for (; from < sample.texts.size(); ++from) {
      if (!texts.empty() && bytes + sample.texts[from].size() > batch) break;
      texts.push_back(sample.texts[from]);
      bytes += sample.texts[from].size();
    }
    for (auto& values : document_entropies(source, texts, newline_reset))
      sample.entropies.push_back(std::move(values));
    done += bytes;
    if (reporter)
      reporter->progress({"calibrate", done, sample.bytes, "B", {}, from == sample.texts.size()});
  }
}

Calibration calibrate(const Sample& sample, Rules rules, double patch_size) {
  if (!has_threshold(rules.scheme)) {
    throw usage_error(cat("scheme ", scheme_name(rules.scheme), " has no threshold to calibrate"));
  }
  const std::vector<float> values = compared_values(sample, rules.scheme);
  const auto try_at = [&](std::size_t k) {
    rules.threshold = threshold_below(values, k);
    const std::uint64_t patches = count_patches(sample, rules);
    return Calibration{rules.threshold,
                       static_cast<double>(sample.bytes) / static_cast<double>(patches),
                       sample.bytes, patches};
  };
  const Calibration smallest = try_at(0), largest = try_at(values.size());
  if (!(patch_size >= 0.99 * smallest.patch_size && patch_size <= 1.01 * largest.patch_size)) {
    throw usage_error(
        cat("a mean patch size of ", format_double(patch_size), " is out of reach of scheme ",
            scheme_name(rules.scheme), ": on the sample it goes from ",
            format_fixed(smallest.patch_size, 2), " to ", format_fixed(largest.patch_size, 2)),
        rules.max_patch_length ? "the maximum patch length bounds it" : "");
  }
  // The first threshold that reaches the size, or the last that does not, whichever is nearer.
  std::size_t low = 0, high = values.size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (try_at(middle).patch_size >= patch_size)
      high = middle;
    else
      low = middle + 1;
  }
  const Calibration above = try_at(high);
  if (high == 0) return above;
  const Calibration below = try_at(high - 1);
  return std::abs(below.patch_size - patch_size) < std::abs(above.patch_size - patch_size) ? below
                                                                                           : above;
}

void tell_fit(const Calibration& fit, double patch_size, std::uint64_t seed, Reporter& reporter) {
  if (std::abs(fit.patch_size - patch_size) > 0.01 * patch_size) {
    reporter.warn(cat("the nearest mean patch size to ", format_double(patch_size),
                      " on the sample is ", format_fixed(fit.patch_size, 3)));
  }
  reporter.info(cat("threshold ", format_double(fit.threshold), " gives ",
                    format_fixed(fit.patch_size, 3), " bytes a patch on ",
                    format_bytes(static_cast<double>(fit.bytes)), " (seed ", seed, ")"));
}

Json calibration_json(const Calibration& fit, double patch_size, std::uint64_t seed) {
  return {{"patch_size", patch_size},
          {"reached", fit.patch_size},
          {"sample_bytes", fit.bytes},
          {"seed", seed}};
}

std::optional<Calibration> calibrate_within_reach(const Sample& sample, const Rules& rules, double patch_size) {
  try {
    return calibrate(sample, rules, patch_size);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    return std::nullopt;
  }
}

std::vector<CalibrationRow> calibrate_all(const Sample& sample, const Rules& rules,
                                          const std::vector<Scheme>& schemes,
                                          const std::vector<double>& patch_sizes) {
  std::vector<CalibrationRow> rows;
  for (const Scheme scheme : schemes) {
    for (const double size : patch_sizes) {
      Rules own = rules;
      own.scheme = scheme;
      CalibrationRow& row = rows.emplace_back();
      row.scheme = scheme;
      row.wished = size;
      row.found = calibrate_within_reach(sample, own, size);
    }
  }
  return rows;
}

std::string to_text(const std::vector<CalibrationRow>& rows) {
  const auto range = [](const Interval& interval, int digits) {
    return cat(format_fixed(interval.low, digits), " - ", format_fixed(interval.high, digits));
  };
  Table table({"scheme", "wished", "threshold", "95 %", "bytes/patch", "95 %"});
  Table groups({"group", "scheme", "wished", "sample", "bytes/patch", "95 %", "own threshold", "95 %"});
  bool grouped = false;
  for (const auto& row : rows) {
    const std::string scheme(scheme_name(row.scheme)), wished = format_double(row.wished);
    if (!row.found) {
      table.add({scheme, wished, "out of reach", "-", "-", "-"});
      continue;
    }
    table.add({scheme, wished, format_double(row.found->threshold), range(row.threshold, 4),
               format_fixed(row.found->patch_size, 3), range(row.patch_size, 3)});
    for (const auto& group : row.groups) {
      grouped = true;
      groups.add({text::escape(group.group), scheme, wished,
                  format_bytes(static_cast<double>(group.bytes)), format_fixed(group.patch_size, 3),
                  range(group.interval, 3), group.own ? format_double(group.own->threshold) : "out of reach",
                  group.own ? range(group.own_threshold, 4) : "-"});
    }
  }
  return table.text() + (grouped ? "\n" + groups.text() : "");
}

Json to_json(const std::vector<CalibrationRow>& rows) {
  Json json = Json::array();
  for (const auto& row : rows) {
    Json& item =
        json.emplace_back(Json{{"scheme", scheme_name(row.scheme)}, {"wished", row.wished}});
    item["threshold"] = row.found ? Json(row.found->threshold) : Json(nullptr);
    item["patch_size"] = row.found ? Json(row.found->patch_size) : Json(nullptr);
    if (!row.found) continue;
    item["threshold_interval"] = {row.threshold.low, row.threshold.high};
    item["patch_size_interval"] = {row.patch_size.low, row.patch_size.high};
    for (const auto& group : row.groups) {
      Json& told = item["groups"].emplace_back(
          Json{{"group", text::replace_invalid(group.group)},
               {"bytes", group.bytes},
               {"patch_size", group.patch_size},
               {"patch_size_interval", {group.interval.low, group.interval.high}}});
      told["threshold"] = group.own ? Json(group.own->threshold) : Json(nullptr);
      if (group.own) told["threshold_interval"] = {group.own_threshold.low, group.own_threshold.high};
    }
  }
  return json;
}

}  // namespace blt::patch
