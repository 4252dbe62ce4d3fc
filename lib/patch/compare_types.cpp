// SPDX-License-Identifier: MIT
#include "blt/patch/compare_types.h"

#include <algorithm>
#include <cmath>

#include "blt/base/error.h"
#include "blt/base/table.h"
#include "blt/base/units.h"

namespace blt::patch {
namespace {

// Where patches start, those at the first two positions left out.
std::vector<std::uint64_t> boundaries_of(const std::string& text, const std::vector<float>& entropies, const Rules& rules) {
  std::vector<std::uint64_t> starts;
  std::uint64_t start = 0;
  for (const auto length : cut_document(text, entropies, rules)) {
    if (start > 1) starts.push_back(start);
    start += length;
  }
  return starts;
}

TypeDifference::Cut compare_cuts(const Sample& float32, const Sample& other, Rules rules, const CalibrationRow& row) {
  rules.scheme = row.scheme;
  rules.threshold = row.found->threshold;
  TypeDifference::Cut cut;
  cut.scheme = row.scheme;
  cut.wished = row.wished;
  cut.threshold = rules.threshold;
  std::uint64_t patches = 0;
  for (std::size_t i = 0; i < float32.texts.size(); ++i) {
    const auto a = boundaries_of(float32.texts[i], float32.entropies[i], rules), b = boundaries_of(other.texts[i], other.entropies[i], rules);
    std::vector<std::uint64_t> differing;
    std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(differing));
    cut.boundaries += a.size();
    cut.differing += differing.size();
    patches += cut_document(other.texts[i], other.entropies[i], rules).size();
  }
  cut.patch_size = static_cast<double>(other.bytes) / static_cast<double>(patches);
  return cut;
}

}  // namespace

TypeDifference compare_types(const std::string& dtype, const Sample& float32, const Sample& other, const Rules& rules,
                             const std::vector<CalibrationRow>& rows) {
  if (float32.texts != other.texts) throw internal_error("types are compared on different texts");
  TypeDifference out;
  out.dtype = dtype;
  double total = 0, count = 0;
  for (std::size_t i = 0; i < float32.entropies.size(); ++i) {
    for (std::size_t p = 0; p < float32.entropies[i].size(); ++p, ++count) {
      const double difference = std::abs(static_cast<double>(float32.entropies[i][p]) - other.entropies[i][p]);
      total += difference;
      out.largest = std::max(out.largest, difference);
    }
  }
  out.mean = count > 0 ? total / count : 0;
  for (const auto& row : rows) {
    if (row.found) out.cuts.push_back(compare_cuts(float32, other, rules, row));
  }
  return out;
}

std::string to_text(const std::vector<TypeDifference>& differences) {
  Table types({"dtype", "entropies differ by", "at most"}), cuts({"dtype", "scheme", "wished", "boundaries", "differ", "share", "bytes/patch"});
  for (const auto& type : differences) {
    types.add({type.dtype, format_fixed(type.mean, 5), format_fixed(type.largest, 5)});
    for (const auto& cut : type.cuts) {
      cuts.add({type.dtype, std::string(scheme_name(cut.scheme)), format_double(cut.wished), std::to_string(cut.boundaries),
                std::to_string(cut.differing), cat(format_fixed(100 * cut.share(), 3), " %"), format_fixed(cut.patch_size, 3)});
    }
  }
  return "beside float32:\n" + types.text() + "\n" + cuts.text();
}

Json to_json(const std::vector<TypeDifference>& differences) {
  Json json = Json::array();
  for (const auto& type : differences) {
    Json& item = json.emplace_back(
        Json{{"dtype", type.dtype}, {"mean_difference", type.mean}, {"largest_difference", type.largest}, {"cuts", Json::array()}});
    for (const auto& cut : type.cuts) {
      item["cuts"].push_back({{"scheme", scheme_name(cut.scheme)},
                              {"wished", cut.wished},
                              {"threshold", cut.threshold},
                              {"boundaries", cut.boundaries},
                              {"differing", cut.differing},
                              {"share", cut.share()},
                              {"patch_size", cut.patch_size}});
    }
  }
  return json;
}

}  // namespace blt::patch
