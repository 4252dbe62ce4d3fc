// SPDX-License-Identifier: MIT
// Lengths of patches and tokens, in bytes of text.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "blt/base/json.h"
#include "blt/base/reporter.h"

namespace blt {
class EntropySource;
struct LengthsConfig;
}  // namespace blt

namespace blt::stats {

// The exact distribution of whole numbers: a count for each value.
class LengthCounts {
 public:
  void add(std::uint64_t length, std::uint64_t count = 1);
  void add(const LengthCounts& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t total() const { return total_; }  // the sum of all lengths
  double mean() const;                            // 0 when empty, as all that follow
  double median() const;                          // of an even count the mean of the middle two
  std::uint64_t percentile(double p) const;       // nearest rank, p in (0, 100]
  std::uint64_t max() const;
  std::map<std::uint64_t, std::uint64_t> histogram() const;

 private:
  std::uint64_t nth(std::uint64_t index) const;  // of the sorted values, from 0

  std::vector<std::uint64_t> small_;  // by length; longer than its bound: large_
  std::map<std::uint64_t, std::uint64_t> large_;
  std::uint64_t count_ = 0, total_ = 0;
};

// Adds patch lengths over BOS + text [+ EOS] [+ the next byte] as lengths over the text alone:
// `front` positions are taken from the first patches and `back` from the last, and patches left
// with nothing do not count.
void add_text_lengths(std::span<const std::uint32_t> lengths, std::uint64_t front,
                      std::uint64_t back, LengthCounts& out);

struct LengthsReport {
  struct Measure {
    std::string name;
    std::string kind;  // "patches", "tokens"
    Json facts;        // thresholds and such, with their values
  };
  struct Group {
    std::string name;  // empty: all documents
    std::uint64_t documents = 0, bytes = 0;
    std::vector<LengthCounts> lengths;  // one a measure
  };
  std::vector<Measure> measures;
  Group all;
  std::vector<Group> groups;  // by name; empty when no document has a group
  std::uint64_t skipped = 0;  // records left out by --on-error skip
};

// Reads the inputs once, on all threads. The result does not depend on their number. `source` (may
// be null) gives entropies. Errors: usage (bad scheme or tokenizer text, no entropies for a
// scheme), input.
LengthsReport measure_lengths(const LengthsConfig& config, EntropySource* source,
                              Reporter& reporter);
// The same, opening config.model when a scheme needs it.
LengthsReport measure_lengths(const LengthsConfig& config, Reporter& reporter);

Json lengths_json(const LengthCounts& lengths, bool histogram);
Json to_json(const LengthsReport& report);
std::string to_text(const LengthsReport& report);
std::string to_svg(const LengthsReport& report);

}  // namespace blt::stats
