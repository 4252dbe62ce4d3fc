// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <sstream>

#include "blt/base/error.h"
#include "blt/patch/calibrate.h"
#include "blt/patch/segmenter.h"
#include "fake_entropy_source.h"

using namespace blt;
using namespace blt::patch;
using blt::test::FakeEntropySource;

namespace {

// The source's value behind BOS and these bytes.
float value_behind(std::string_view bytes) {
  FakeEntropySource source;
  const std::vector<std::vector<TokenId>> documents = {encode(bytes, true, false)};
  return source.entropies(documents).front().back();
}

std::string words(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::uint64_t k = random.below(9) + 1; k > 0; --k)
      text += static_cast<char>('a' + random.below(26));
    text += random.below(8) ? ' ' : '\n';
  }
  return text;
}

Sample fake_sample(std::uint64_t bytes = 200000) {
  Sampler sampler(bytes, 3);
  for (std::uint64_t i = 0; i < 40; ++i) sampler.add(words(1000, i));
  Sample sample = sampler.take();
  FakeEntropySource source(10000);
  NullReporter reporter;
  add_entropies(sample, source, false, reporter);
  CHECK(source.calls > 1);
  return sample;
}

double mean_size(const Sample& sample, const Rules& rules) {
  std::uint64_t patches = 0;
  for (std::size_t i = 0; i < sample.texts.size(); ++i) {
    patches += cut_document(sample.texts[i], sample.entropies[i], rules).size();
  }
  return static_cast<double>(sample.bytes) / static_cast<double>(patches);
}

}  // namespace

TEST_CASE("entropies cover BOS, bytes and EOS, one document apart from the other") {
  FakeEntropySource source;
  const std::vector<std::string_view> texts = {"ab\nc", "", "ab"};
  const auto h = document_entropies(source, texts, false);
  REQUIRE(h.size() == 3);
  CHECK(h[0].size() == 6);
  CHECK(h[1].size() == 2);
  CHECK(h[0][0] == value_behind(""));
  CHECK(h[0][3] == value_behind("ab\n"));
  CHECK(h[2][2] == h[0][2]);
}

TEST_CASE("newline reset: each line's context begins with BOS") {
  FakeEntropySource source;
  const std::vector<std::string_view> texts = {"ab\n\n\ncd", "x\n", "\n", ""};
  const auto h = document_entropies(source, texts, true);
  REQUIRE(h.size() == 4);
  const float fresh = value_behind("");
  CHECK(h[0] == std::vector<float>{fresh, value_behind("a"), value_behind("ab"), fresh, fresh,
                                   fresh, value_behind("c"), value_behind("cd"), h[0].back()});
  CHECK(h[0].back() != value_behind("cd"));  // of EOS itself
  CHECK(h[1] == std::vector<float>{fresh, value_behind("x"), fresh, h[3].back()});
  CHECK(h[2] == std::vector<float>{fresh, fresh, h[3].back()});
  CHECK(h[3].size() == 2);
  // "ab", one empty line for all, "cd" + EOS; "x", EOS; EOS; EOS: the empty line costs one
  // position.
  CHECK(source.positions == 3 + 1 + 4 + 2 + 2 + 2 + 2);
}

TEST_CASE("calibration meets the wished mean size within 1 %") {
  const Sample sample = fake_sample();
  for (const Scheme scheme : {Scheme::entropy, Scheme::monotonic, Scheme::combined}) {
    for (const double wished : {2.5, 4.0, 4.5, 7.25}) {
      for (const bool limited : {false, true}) {
        INFO(scheme_name(scheme) << " " << wished << " " << limited);
        Rules rules;
        rules.scheme = scheme;
        if (limited) rules.max_patch_length = 24;
        const Calibration found = calibrate(sample, rules, wished);
        CHECK(std::abs(found.patch_size - wished) < 0.01 * wished);
        rules.threshold = found.threshold;
        CHECK(mean_size(sample, rules) == Approx(found.patch_size));
        CHECK(found.bytes == sample.bytes);
      }
    }
  }
}

TEST_CASE("a size out of reach is a usage error that names the range") {
  const Sample sample = fake_sample(20000);
  Rules rules;
  rules.max_patch_length = 8;
  for (const double wished : {0.5, 9.0}) {
    try {
      calibrate(sample, rules, wished);
      FAIL("no error for " << wished);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
      CHECK(std::string(error.what()).find("out of reach") != std::string::npos);
    }
  }
  rules.scheme = Scheme::space;
  CHECK_THROWS_AS(calibrate(sample, rules, 4), Error);
  const auto rows = calibrate_all(sample, Rules{}, {Scheme::entropy}, {4, 1e9});
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].found);
  CHECK_FALSE(rows[1].found);
}

TEST_CASE("equal entropies: the nearest size, no more") {
  Sample sample;
  sample.texts = {std::string(100, 'x')};
  sample.entropies = {std::vector<float>(102, 1.0f)};
  sample.bytes = 100;
  const Calibration small = calibrate(sample, Rules{}, 2);
  CHECK(small.patch_size < 1.0);
  CHECK(small.threshold < 1.0);
  CHECK(calibrate(sample, Rules{}, 45).patch_size == Approx(50));
}

TEST_CASE("the sample is bounded, even, and the same for a seed") {
  const auto draw = [](std::uint64_t seed) {
    Sampler sampler(300000, seed);
    for (std::uint64_t i = 0; i < 2000; ++i) sampler.add(cat(i, " ", std::string(997, 'x')));
    sampler.add(std::string(1000000, 'y'));
    sampler.add("");
    return sampler.take();
  };
  const Sample a = draw(1), b = draw(1), c = draw(2);
  CHECK(a.texts == b.texts);
  CHECK(a.texts != c.texts);
  CHECK(a.bytes >= 300000);
  CHECK(a.bytes < 300000 + Sampler::piece_bytes);
  std::uint64_t bytes = 0, early = 0, numbered = 0;
  for (const auto& text : a.texts) {
    bytes += text.size();
    CHECK(text.size() <= Sampler::piece_bytes);
    if (text[0] == 'y') continue;
    ++numbered;
    early += std::stoul(text) < 1000;
  }
  CHECK(bytes == a.bytes);
  CHECK(early > numbered / 3);
  CHECK(early < 2 * numbered / 3);
  Sampler empty(10, 0);
  CHECK_THROWS_AS(empty.take(), Error);
}
