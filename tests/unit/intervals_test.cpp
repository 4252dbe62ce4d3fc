// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "blt/base/random.h"
#include "blt/base/threads.h"
#include "blt/patch/calibrate.h"
#include "blt/patch/compare_types.h"

using namespace blt;
using namespace blt::patch;

namespace {

// Documents of `pieces` pieces of 200 bytes, whose entropies share the document's own scale; group
// "a" has lower ones.
Sample random_sample(std::uint64_t seed, std::size_t documents, std::size_t pieces) {
  Random random(seed);
  Sample sample;
  for (std::size_t d = 0; d < documents; ++d) {
    const bool low = random.below(3) == 0;
    const double scale = (low ? 1 : 2) + random.uniform();
    for (std::size_t i = 0; i < pieces; ++i) {
      sample.texts.emplace_back(200, 'x');
      sample.groups.emplace_back(low ? "a" : "b");
      sample.documents.push_back(d);
      sample.bytes += 200;
      auto& entropies = sample.entropies.emplace_back();
      for (int p = 0; p < 202; ++p)
        entropies.push_back(static_cast<float>(scale * random.uniform()));
    }
  }
  return sample;
}

std::vector<CalibrationRow> rows_of(const Sample& sample, std::uint64_t seed = 0) {
  auto rows = calibrate_all(sample, Rules{}, {Scheme::entropy}, {4});
  add_intervals(rows, sample, Rules{}, seed);
  return rows;
}

double patch_size(const Sample& sample, double threshold, const std::string& group = {}) {
  Rules rules;
  rules.threshold = threshold;
  std::size_t bytes = 0, patches = 0;
  for (std::size_t i = 0; i < sample.texts.size(); ++i) {
    if (!group.empty() && sample.groups[i] != group) continue;
    bytes += sample.texts[i].size();
    patches += cut_document(sample.texts[i], sample.entropies[i], rules).size();
  }
  return static_cast<double>(bytes) / static_cast<double>(patches);
}

bool inside(double value, const Interval& interval) {
  return interval.low <= value && value <= interval.high;
}

}  // namespace

TEST_CASE("95 % intervals hold the corpus' own figures in about 95 of 100 samples") {
  const Sample corpus = random_sample(1, 4000, 1);
  const double threshold = calibrate(corpus, Rules{}, 4).threshold;
  int thresholds = 0, sizes = 0;
  constexpr int samples = 200;
  for (int i = 0; i < samples; ++i) {
    const CalibrationRow row =
        rows_of(random_sample(100 + static_cast<std::uint64_t>(i), 60, 1)).at(0);
    thresholds += inside(threshold, row.threshold);
    sizes += inside(patch_size(corpus, row.found->threshold), row.patch_size);
    CHECK(inside(row.found->threshold, row.threshold));
    CHECK(inside(row.found->patch_size, row.patch_size));
  }
  for (const int hits : {thresholds, sizes}) {
    CHECK(hits >= samples * 90 / 100);
    CHECK(hits <= samples * 98 / 100);
  }
}

TEST_CASE("pieces of a document are drawn together, unless documents are few") {
  const auto width = [](const Sample& sample) {
    const Interval interval = rows_of(sample).at(0).patch_size;
    return interval.high - interval.low;
  };
  Sample sample = random_sample(2, 40, 8);
  const double together = width(sample);
  sample.documents.clear();
  const double apart = width(sample);
  CHECK(together > 2 * apart);  // the square root of 8, were pieces all alike
  Sample few = random_sample(2, 10, 8);
  const double by_pieces = width(few);
  few.documents.clear();
  CHECK(by_pieces == width(few));
}

TEST_CASE("groups have their own patch sizes at the threshold of all, and thresholds of their own") {
  const Sample sample = random_sample(3, 300, 1);
  const CalibrationRow row = rows_of(sample).at(0);
  REQUIRE(row.groups.size() == 2);
  std::uint64_t bytes = 0;
  for (const auto& group : row.groups) {
    CHECK(group.patch_size == Approx(patch_size(sample, row.found->threshold, group.group)));
    CHECK(inside(group.patch_size, group.interval));
    bytes += group.bytes;
    REQUIRE(group.own);
    CHECK(group.own->patch_size == Approx(4).epsilon(0.01));
    CHECK(group.own->patch_size == Approx(patch_size(sample, group.own->threshold, group.group)));
    CHECK(inside(group.own->threshold, group.own_threshold));
  }
  CHECK(row.groups[0].own->threshold < row.found->threshold);
  CHECK(row.groups[1].own->threshold > row.found->threshold);
  CHECK(bytes == sample.bytes);
  CHECK(row.groups[0].interval.low > row.groups[1].interval.high);
  const std::string text = to_text({row});
  CHECK(text.find("group") != std::string::npos);
  CHECK(to_json({row}).at(0).at("groups").at(1).at("group") == "b");

  Sample one = sample;
  one.groups.assign(one.groups.size(), "");
  CHECK(rows_of(one).at(0).groups.empty());
  CHECK(to_text(rows_of(one)).find("group") == std::string::npos);
}

TEST_CASE("a group that cannot have the wished size is told") {
  Sample sample = random_sample(3, 300, 1);
  sample.groups[0] = "short";
  sample.bytes -= sample.texts[0].size();
  sample.texts[0] = "xyz";
  sample.bytes += 3;
  sample.entropies[0] = {1, 1, 1, 1, 1};
  const CalibrationRow row = rows_of(sample).at(0);
  REQUIRE(row.groups.size() == 3);
  CHECK(row.groups[2].group == "short");
  CHECK(!row.groups[2].own);
  CHECK(to_json({row}).at(0).at("groups").at(2).at("threshold").is_null());
  CHECK(to_text({row}).find("out of reach") != std::string::npos);
}

TEST_CASE("types are compared by the boundaries in one of two only") {
  Sample sample;
  sample.texts = {"abcdefgh"};
  sample.groups = {""};
  sample.bytes = 8;
  sample.entropies = {{0, 0, 2, 0, 2, 0, 2, 0, 0, 0}};  // the entropy at p decides whether p + 1 starts a patch
  Sample other = sample;
  other.entropies = {{0, 0, 2, 0, 0.5f, 0, 2, 2, 0, 0}};
  CalibrationRow row;
  row.found = Calibration{1, 0, 0, 0};
  row.wished = 3;
  CalibrationRow unreachable;
  const TypeDifference found = compare_types("int8", sample, other, Rules{}, {row, unreachable});
  CHECK(found.mean == Approx(0.35));
  CHECK(found.largest == Approx(2));
  REQUIRE(found.cuts.size() == 1);
  CHECK(found.cuts[0].boundaries == 3);  // 3, 5, 7 beside 3, 7, 8
  CHECK(found.cuts[0].differing == 2);
  CHECK(found.cuts[0].share() == Approx(2.0 / 3));
  CHECK(found.cuts[0].patch_size == Approx(8.0 / 5));
  CHECK(to_text({found}).find("66.667 %") != std::string::npos);
  CHECK(to_json({found}).at(0).at("cuts").at(0).at("differing") == 2);
  other.texts[0] = "other";
  CHECK_THROWS(compare_types("int8", sample, other, Rules{}, {row}));
}

TEST_CASE("intervals depend on the seed alone") {
  const Sample sample = random_sample(4, 50, 2);
  const auto told = [&](int threads, std::uint64_t seed) {
    const ThreadLimit limit(threads);
    return to_json(rows_of(sample, seed));
  };
  CHECK(told(1, 5) == told(3, 5));
  CHECK(told(1, 5) != told(1, 6));
}

TEST_CASE("a sample tells documents and groups of its pieces") {
  Sampler sampler(1 << 20, 0);
  sampler.add(std::string(10000, 'x'), "one");
  sampler.add("", "none");
  sampler.add("short", {}, "two");
  const Sample sample = sampler.take();
  CHECK(sample.groups == std::vector<std::string>{"one", "one", "one", "two"});
  CHECK(sample.documents == std::vector<std::uint64_t>{0, 0, 0, 2});
}
