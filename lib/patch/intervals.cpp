// SPDX-License-Identifier: MIT
// Percentile bootstrap (Efron 1979): documents are drawn anew from the sample, with replacement,
// and what the draws give is how much the sample's own figures would differ from one sample to the
// next.
#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <set>

#include "blt/base/random.h"
#include "blt/patch/calibrate.h"
#include "sample_cuts.h"

namespace blt::patch {
namespace {

constexpr std::size_t draws = 400;
constexpr std::size_t least_documents = 20;  // of fewer, pieces are drawn

// Which texts are drawn together: the pieces of a document say much the same.
class Bootstrap {
 public:
  Bootstrap(const Sample& sample, std::uint64_t seed)
      : sample_(sample), unit_of_(sample.texts.size()) {
    std::map<std::uint64_t, std::size_t> units;
    for (const std::uint64_t document : sample.documents) units.emplace(document, units.size());
    const bool by_document = units.size() >= least_documents;
    for (std::size_t i = 0; i < unit_of_.size(); ++i)
      unit_of_[i] = by_document ? units.at(sample.documents[i]) : i;
    units_ = by_document ? units.size() : unit_of_.size();
    weights_.resize(draws * units_);
    Random random(mix_seed(seed, draws));
    for (std::size_t draw = 0; draw < draws; ++draw) {
      for (std::size_t i = 0; i < units_; ++i) ++weights_[draw * units_ + random.below(units_)];
    }
  }

  // Of the mean patch size.
  Interval of(const std::vector<std::uint64_t>& patches) const {
    std::vector<double> bytes(units_), cut(units_), sizes;
    for (std::size_t i = 0; i < patches.size(); ++i) {
      bytes[unit_of_[i]] += static_cast<double>(sample_.texts[i].size());
      cut[unit_of_[i]] += static_cast<double>(patches[i]);
    }
    for (std::size_t draw = 0; draw < draws; ++draw) {
      double all_bytes = 0, all_cut = 0;
      for (std::size_t i = 0; i < units_; ++i) {
        const double weight = weights_[draw * units_ + i];
        all_bytes += weight * bytes[i];
        all_cut += weight * cut[i];
      }
      if (all_cut > 0) sizes.push_back(all_bytes / all_cut);
    }
    if (sizes.empty()) return {};
    std::sort(sizes.begin(), sizes.end());
    const std::size_t tail = sizes.size() / 40;  // 2.5 % at each end
    return {sizes[tail], sizes[sizes.size() - 1 - tail]};
  }

 private:
  const Sample& sample_;
  std::vector<std::size_t> unit_of_;
  std::size_t units_ = 0;
  std::vector<std::uint8_t> weights_;  // [draws, units]: how often a unit was drawn
};

// The thresholds at which the wished size lies inside the sizes' interval. A draw's patches only
// grow longer with the threshold, so both ends of the interval rise with it.
Interval thresholds(const Bootstrap& bootstrap, const Sample& sample, Rules rules, double wished) {
  const std::vector<float> values = compared_values(sample, rules.scheme);
  std::map<std::size_t, Interval> known;
  const auto interval_at = [&](std::size_t k) {
    const auto [entry, fresh] = known.try_emplace(k);
    if (fresh) {
      rules.threshold = threshold_below(values, k);
      entry->second = bootstrap.of(patches_of(sample, rules));
    }
    return entry->second;
  };
  const auto first_with = [&](double Interval::*end) {
    std::size_t low = 0, high = values.size();
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (interval_at(middle).*end >= wished)
        high = middle;
      else
        low = middle + 1;
    }
    return threshold_below(values, low);
  };
  return {first_with(&Interval::high), first_with(&Interval::low)};
}

Sample texts_of(const Sample& sample, const std::string& group) {
  Sample out;
  for (std::size_t i = 0; i < sample.texts.size(); ++i) {
    if (sample.groups[i] != group) continue;
    out.texts.push_back(sample.texts[i]);
    out.entropies.push_back(sample.entropies[i]);
    out.groups.push_back(group);
    if (!sample.documents.empty()) out.documents.push_back(sample.documents[i]);
    out.bytes += sample.texts[i].size();
  }
  return out;
}

// A group's texts and draws of its own.
struct Group {
  std::string name;
  Sample sample;
  Bootstrap bootstrap;
  Group(const Sample& all, const std::string& group, std::uint64_t seed)
      : name(group), sample(texts_of(all, group)), bootstrap(sample, seed) {}
};

std::vector<std::unique_ptr<Group>> groups_of(const Sample& sample, std::uint64_t seed) {
  const std::set<std::string> names(sample.groups.begin(), sample.groups.end());
  std::vector<std::unique_ptr<Group>> groups;
  if (names.size() < 2) return groups;
  for (const auto& name : names) groups.push_back(std::make_unique<Group>(sample, name, seed));
  return groups;
}

GroupFit fit_group(const Group& group, const Rules& rules, double wished) {
  const auto patches = patches_of(group.sample, rules);
  const auto cut = std::accumulate(patches.begin(), patches.end(), std::uint64_t{0});
  GroupFit fit{group.name, group.sample.bytes, static_cast<double>(group.sample.bytes) / static_cast<double>(cut),
               group.bootstrap.of(patches), {}, {}};
  fit.own = calibrate_within_reach(group.sample, rules, wished);
  if (fit.own) fit.own_threshold = thresholds(group.bootstrap, group.sample, rules, wished);
  return fit;
}

}  // namespace

void add_intervals(std::vector<CalibrationRow>& rows, const Sample& sample, const Rules& rules,
                   std::uint64_t seed) {
  const Bootstrap bootstrap(sample, seed);
  const auto groups = groups_of(sample, seed);
  for (auto& row : rows) {
    if (!row.found) continue;
    Rules own = rules;
    own.scheme = row.scheme;
    own.threshold = row.found->threshold;
    const auto patches = patches_of(sample, own);
    row.patch_size = bootstrap.of(patches);
    row.threshold = thresholds(bootstrap, sample, own, row.wished);
    for (const auto& group : groups) row.groups.push_back(fit_group(*group, own, row.wished));
  }
}

}  // namespace blt::patch
