// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "blt/base/error.h"
#include "blt/generate/constraint.h"
#include "blt/generate/sampler.h"

using namespace blt;
using namespace blt::generate;

namespace {

constexpr float nothing = -std::numeric_limits<float>::infinity();

// Logits whose softmax is the given probabilities; all other ids are impossible.
std::vector<float> logits_of(const std::map<int, double>& probabilities) {
  std::vector<float> logits(260, nothing);
  for (const auto& [id, p] : probabilities)
    logits[static_cast<std::size_t>(id)] = static_cast<float>(std::log(p));
  return logits;
}

std::vector<int> ids(const std::vector<Candidate>& list) {
  std::vector<int> out;
  for (const auto& c : list) out.push_back(c.id);
  return out;
}

// Pearson's statistic of n draws against the expected distribution.
double chi_square(const std::vector<float>& logits, const SamplerOptions& options,
                  const std::map<int, double>& expected, int n) {
  Sampler sampler(options, 12345);
  std::map<int, int> seen;
  for (int i = 0; i < n; ++i) ++seen[sampler.next(logits)];
  double sum = 0;
  for (const auto& [id, p] : expected) sum += std::pow(seen[id] - n * p, 2) / (n * p);
  for (const auto& [id, count] : seen) {
    INFO("id " << id);
    CHECK(expected.count(id) == 1);
  }
  return sum;
}

// The 0.1 % point of chi-square with 3 degrees of freedom; the seed is fixed, so this does not
// flicker.
constexpr double limit = 16.27;
const std::map<int, double> four = {{10, 0.5}, {20, 0.3}, {30, 0.15}, {40, 0.05}};

}  // namespace

TEST_CASE("draws follow the softmax") {
  CHECK(chi_square(logits_of(four), {}, four, 20000) < limit);
  // The statistic notices a wrong distribution.
  CHECK(chi_square(logits_of(four), {}, {{10, 0.45}, {20, 0.35}, {30, 0.15}, {40, 0.05}}, 20000) >
        limit);
}

TEST_CASE("temperature raises probabilities to the power 1/T") {
  std::map<int, double> expected;
  double sum = 0;
  for (const auto& [id, p] : four) sum += expected[id] = std::pow(p, 1 / 0.7);
  for (auto& [id, p] : expected) p /= sum;
  SamplerOptions options;
  options.temperature = 0.7;
  CHECK(chi_square(logits_of(four), options, expected, 20000) < limit);
  CHECK(chi_square(logits_of(four), {}, expected, 20000) > limit);
}

TEST_CASE("filtered draws are renormalised") {
  SamplerOptions options;
  options.top_k = 2;
  CHECK(chi_square(logits_of(four), options, {{10, 0.625}, {20, 0.375}}, 20000) < 10.83);
}

TEST_CASE("top-k keeps exactly k, of equals the lower ids") {
  SamplerOptions options;
  const auto logits = logits_of({{200, 0.2}, {100, 0.2}, {50, 0.2}, {7, 0.1}, {8, 0.3}});
  for (const auto& [k, expected] : std::map<int, std::vector<int>>{{1, {8}},
                                                                   {2, {8, 50}},
                                                                   {3, {8, 50, 100}},
                                                                   {5, {8, 50, 100, 200, 7}},
                                                                   {0, {8, 50, 100, 200, 7}}}) {
    options.top_k = k;
    INFO("k = " << k);
    CHECK(ids(candidates(logits, options)) == expected);
  }
}

TEST_CASE("top-p keeps the fewest that reach p") {
  SamplerOptions options;
  const auto logits = logits_of(four);
  for (const auto& [p, expected] : std::map<double, std::vector<int>>{{0.0, {10}},
                                                                      {0.4, {10}},
                                                                      {0.6, {10, 20}},
                                                                      {0.79, {10, 20}},
                                                                      {0.9, {10, 20, 30}},
                                                                      {0.99, {10, 20, 30, 40}}}) {
    options.top_p = p;
    INFO("p = " << p);
    CHECK(ids(candidates(logits, options)) == expected);
  }
}

TEST_CASE("min-p is relative to the best") {
  SamplerOptions options;
  for (const auto& [p, expected] : std::map<double, std::vector<int>>{{0.05, {10, 20, 30, 40}},
                                                                      {0.11, {10, 20, 30}},
                                                                      {0.31, {10, 20}},
                                                                      {0.61, {10}},
                                                                      {1.0, {10}}}) {
    options.min_p = p;
    INFO("p = " << p);
    CHECK(ids(candidates(logits_of(four), options)) == expected);
  }
}

TEST_CASE("candidates sum to 1 under every filter") {
  SamplerOptions options{1.3, 3, 0.9, 0.1, true};
  double sum = 0;
  for (const auto& c : candidates(logits_of(four), options)) sum += c.probability;
  CHECK(sum == Approx(1));
}

TEST_CASE("special ids are never chosen, EOS only where it may end the text") {
  auto logits = logits_of({{0, 0.3}, {1, 0.2}, {3, 0.2}, {2, 0.2}, {65, 0.1}});
  CHECK(ids(candidates(logits, {})) == std::vector<int>{2, 65});
  SamplerOptions no_end;
  no_end.eos = false;
  CHECK(ids(candidates(logits, no_end)) == std::vector<int>{65});
  CHECK(best(logits, true) == 2);
  CHECK(best(logits, false) == 65);
}

TEST_CASE("greedy takes the lowest of equals") {
  CHECK(best(logits_of({{90, 0.4}, {70, 0.4}, {80, 0.2}}), true) == 70);
  CHECK(best(logits_of({{4, 0.5}, {2, 0.5}}), true) == 2);
  CHECK(best(std::vector<float>(260, 0.0f), false) == 4);
  SamplerOptions greedy;
  greedy.temperature = 0;
  Sampler sampler(greedy, 1);
  for (int i = 0; i < 10; ++i) CHECK(sampler.next(logits_of(four)) == 10);
}

TEST_CASE("what a constraint leaves out has no probability before any filter") {
  Allowed allowed;
  for (const int id : {20, 40, 50}) allowed.bytes[0] |= std::uint64_t{1} << (id - 4);
  SamplerOptions options;
  const auto list = candidates(logits_of(four), options, &allowed);
  CHECK(ids(list) == std::vector<int>{20, 40});
  CHECK(list[0].probability == Approx(0.3 / 0.35));
  options.top_k = 1;
  CHECK(ids(candidates(logits_of(four), options, &allowed)) == std::vector<int>{20});
  options = {};
  options.min_p = 0.16;  // of 0.3, not of 0.5
  CHECK(ids(candidates(logits_of(four), options, &allowed)) == std::vector<int>{20, 40});
  options = {};
  options.top_p = 0.85;
  CHECK(ids(candidates(logits_of(four), options, &allowed)) == std::vector<int>{20});
  CHECK(best(logits_of(four), true, &allowed) == 20);
  CHECK(best(logits_of({{30, 1}}), true, &allowed) == 20);  // of equals the lowest
  CHECK(ids(candidates(logits_of({{30, 1}}), {}, &allowed)) == std::vector<int>{20});
  Sampler sampler({}, 3);
  for (int i = 0; i < 50; ++i) CHECK(sampler.next(logits_of(four), &allowed) % 20 == 0);
}

TEST_CASE("a constraint says whether the text may end; where nothing else is left it ends") {
  const auto logits = logits_of({{2, 0.6}, {65, 0.4}});
  Allowed allowed;
  allowed.bytes[0] = std::uint64_t{1} << (65 - 4);
  CHECK(best(logits, true, &allowed) == 65);
  allowed.end = true;
  CHECK(best(logits, true, &allowed) == 2);
  CHECK(best(logits, false, &allowed) == 65);
  allowed.bytes = {};
  CHECK(best(logits, false, &allowed) == 2);
  CHECK(ids(candidates(logits, {}, &allowed)) == std::vector<int>{2});
  allowed.end = false;
  CHECK_THROWS_AS(best(logits, true, &allowed), Error);
}

TEST_CASE("the same seed draws the same") {
  const std::vector<float> flat(260, 1.0f);
  const auto draw = [&](std::uint64_t seed) {
    Sampler sampler({}, seed);
    std::vector<int> out;
    for (int i = 0; i < 50; ++i) out.push_back(sampler.next(flat));
    return out;
  };
  CHECK(draw(7) == draw(7));
  CHECK(draw(7) != draw(8));
}

TEST_CASE("logits that are no numbers are an input error") {
  std::vector<float> logits(260, 0.0f);
  logits[100] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(candidates(logits, {}), Error);
  CHECK_THROWS_AS(best(logits, true), Error);
  CHECK_THROWS_AS(candidates(std::vector<float>(260, nothing), {}), Error);
  CHECK_THROWS_AS(best(std::vector<float>(256, 0.0f), true), Error);
}
