// SPDX-License-Identifier: MIT
// A wished mean patch size -> the threshold that gives it on a sample of the corpus.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "blt/base/json.h"
#include "blt/base/reporter.h"
#include "blt/patch/rules.h"

namespace blt {
class EntropySource;
}

namespace blt::patch {

struct Sample {
  std::vector<std::string> texts;
  std::vector<std::vector<float>> entropies;  // as document_entropies gives them
  std::vector<std::string> groups;            // of each text's document
  std::vector<std::uint64_t> documents;       // each text's document, as a number
  std::uint64_t bytes = 0;                    // of texts
};

// Chooses about `bytes` bytes evenly out of a stream of documents of any length: documents are
// taken in pieces of at most piece_bytes, those with the smallest hash of (seed, number) stay.
// Memory is bounded by `bytes`; the choice depends on seed and documents alone.
class Sampler {
 public:
  static constexpr std::size_t piece_bytes = 4 << 10;

  Sampler(std::uint64_t bytes, std::uint64_t seed);
  ~Sampler();
  void add(std::string_view text, const std::string& group = {});
  // With entropies (may be empty) of BOS + text + EOS that are known already. Such documents stay
  // whole.
  void add(std::string_view text, std::vector<float> entropies, const std::string& group = {});
  Sample take();  // in the order of the documents; errors: input (nothing was added)

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Fills sample.entropies, in batches of the source's size. Ends early at a stop signal.
void add_entropies(Sample& sample, EntropySource& source, bool newline_reset,
                   Reporter* reporter = nullptr);
inline void add_entropies(Sample& sample, EntropySource& source, bool newline_reset,
                          Reporter& reporter) {
  add_entropies(sample, source, newline_reset, &reporter);
}

struct Calibration {
  double threshold = 0;     // halfway between the two values of the sample that it separates
  double patch_size = 0;    // reached on the sample: text bytes a patch, BOS's patch counted
  std::uint64_t bytes = 0;  // of the sample
  std::uint64_t patches = 0;
};

// The threshold of an entropy, monotonic or combined scheme for the mean patch size; all other
// rules as given. More patches never come of a higher threshold, so it is found by bisection over
// the sample's own values. Errors: usage (a scheme without threshold, a size out of reach on this
// sample).
Calibration calibrate(const Sample& sample, Rules rules, double patch_size);

// Tells the fit, with a warning when it is more than 1 % off.
void tell_fit(const Calibration& fit, double patch_size, std::uint64_t seed, Reporter& reporter);
// As the manifest keeps it.
Json calibration_json(const Calibration& fit, double patch_size, std::uint64_t seed);

struct Interval {
  double low = 0, high = 0;
};
struct GroupFit {
  std::string group;
  std::uint64_t bytes = 0;  // of the sample
  double patch_size = 0;    // at the threshold of all
  Interval interval;
  std::optional<Calibration> own;  // fitted to the group's texts alone; none: out of reach
  Interval own_threshold;
};

// Several schemes and sizes on one sample.
struct CalibrationRow {
  Scheme scheme = Scheme::entropy;
  double wished = 0;
  std::optional<Calibration> found;  // none: out of reach
  Interval threshold, patch_size;    // 95 %: for the wished size; at the threshold found
  std::vector<GroupFit> groups;      // when the sample has more than one
};
std::vector<CalibrationRow> calibrate_all(const Sample& sample, const Rules& rules,
                                          const std::vector<Scheme>& schemes,
                                          const std::vector<double>& patch_sizes);
// Fills in 95 % intervals and groups (with thresholds of their own): how far the figures may be from those of the whole corpus, by a bootstrap over the
// sample's documents (over its pieces where there are few documents). The same for the same seed.
void add_intervals(std::vector<CalibrationRow>& rows, const Sample& sample, const Rules& rules,
                   std::uint64_t seed);
std::string to_text(const std::vector<CalibrationRow>& rows);
Json to_json(const std::vector<CalibrationRow>& rows);

}  // namespace blt::patch
