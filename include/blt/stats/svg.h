// SPDX-License-Identifier: MIT
// Plots without a plotting program.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace blt::stats {

struct HistogramSeries {
  std::string name;
  std::map<std::uint64_t, std::uint64_t> counts;  // by length
};

struct HistogramLabels {
  std::string title;
  std::string x;
  std::string y;
};

// Shares (per cent of each series) by length as one line a series, with axes, ticks, a legend and
// each series' mean. Lengths beyond the longest 99th percentile (at least 8, at most 48) are
// gathered in the last place, marked "N+".
std::string histogram_svg(const std::vector<HistogramSeries>& series,
                          const HistogramLabels& labels);

// & < > " ' as entities; bytes that XML 1.0 forbids as U+FFFD.
std::string xml_escape(std::string_view text);

}  // namespace blt::stats
