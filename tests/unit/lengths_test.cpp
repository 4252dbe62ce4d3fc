// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "blt/base/error.h"
#include "blt/base/random.h"
#include "blt/base/threads.h"
#include "blt/config/stats_config.h"
#include "blt/patch/rules.h"
#include "blt/shard/shard.h"
#include "blt/stats/facts.h"
#include "blt/stats/lengths.h"
#include "blt/text/bpe.h"
#include "unit/stats_fakes.h"

using namespace blt;
using namespace blt::stats;
using test::TemporaryFolder;

namespace {

std::string json_lines(const std::vector<std::pair<std::string, std::string>>& documents) {
  std::string out;
  int number = 0;
  for (const auto& [lang, text] : documents) {
    out +=
        dump_json({{"id", "d" + std::to_string(number++)}, {"lang", lang}, {"text", text}}) + "\n";
  }
  return out;
}

const std::vector<std::pair<std::string, std::string>> sample = {
    {"en", "The quick brown fox, it jumps over the lazy dog."},
    {"de", "Zw\xC3\xB6lf Boxk\xC3\xA4mpfer jagen Viktor."},
    {"en", ""},
    {"ja", "\xE3\x81\x84\xE3\x82\x8D\xE3\x81\xAF"},
    {"en", "a\nb\n\nc 123 456"},
};

LengthsConfig config_for(const std::string& input) {
  LengthsConfig c;
  c.input.inputs = {input};
  return c;
}

// By the definition: all documents' patches over the text alone.
std::vector<std::uint64_t> expected_patches(const patch::Rules& rules) {
  std::vector<std::uint64_t> out;
  for (const auto& [lang, text] : sample) {
    const auto ids = patch::encode(text);
    std::vector<float> entropies;
    for (const auto id : ids) entropies.push_back(test::fake_entropy(id));
    const auto lengths = patch::cut(
        ids, patch::needs_entropies(rules.scheme) ? entropies : std::vector<float>{}, rules);
    std::size_t position = 0;
    for (const auto length : lengths) {
      std::uint64_t bytes = 0;
      for (std::size_t p = position; p < position + length; ++p)
        bytes += ids[p] >= patch::byte_offset;
      position += length;
      if (bytes > 0) out.push_back(bytes);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::uint64_t> sorted_values(const LengthCounts& counts) {
  std::vector<std::uint64_t> out;
  for (const auto& [length, n] : counts.histogram()) out.insert(out.end(), n, length);
  return out;
}

}  // namespace

TEST_CASE("length statistics equal those of the sorted values", "[lengths]") {
  Random random(5);
  for (const std::size_t size : {1u, 2u, 3u, 10u, 101u, 1000u}) {
    LengthCounts counts;
    std::vector<double> values;
    for (std::size_t i = 0; i < size; ++i) {
      const std::uint64_t value =
          random.below(10) == 0 ? 4000 + random.below(200) : random.below(20);
      counts.add(value);
      values.push_back(static_cast<double>(value));
    }
    std::sort(values.begin(), values.end());
    double sum = 0;
    for (const double v : values) sum += v;
    const auto nearest = [&](double p) {
      return values[static_cast<std::size_t>(std::ceil(p / 100 * static_cast<double>(size))) - 1];
    };
    CHECK(counts.count() == size);
    CHECK(counts.mean() == Approx(sum / static_cast<double>(size)));
    CHECK(counts.median() == Approx((values[(size - 1) / 2] + values[size / 2]) / 2));
    CHECK(static_cast<double>(counts.percentile(90)) == nearest(90));
    CHECK(static_cast<double>(counts.percentile(99)) == nearest(99));
    CHECK(static_cast<double>(counts.percentile(100)) == values.back());
    CHECK(static_cast<double>(counts.max()) == values.back());
    LengthCounts doubled = counts;
    doubled.add(counts);
    CHECK(doubled.count() == 2 * size);
    CHECK(doubled.total() == 2 * counts.total());
    CHECK(doubled.max() == counts.max());
  }
  const LengthCounts none;
  CHECK(none.mean() == 0);
  CHECK(none.median() == 0);
  CHECK(none.percentile(99) == 0);
  CHECK(none.max() == 0);
}

TEST_CASE("special positions do not count as text", "[lengths]") {
  const auto text = [](std::vector<std::uint32_t> lengths, std::uint64_t front,
                       std::uint64_t back) {
    LengthCounts counts;
    add_text_lengths(lengths, front, back, counts);
    return sorted_values(counts);
  };
  using V = std::vector<std::uint64_t>;
  CHECK(text({1, 3, 4}, 1, 1) == V{3, 3});
  CHECK(text({1, 3, 1}, 1, 1) == V{3});
  CHECK(text({4, 4, 2}, 1, 1) == V{1, 3, 4});
  CHECK(text({1, 3, 1, 1}, 1, 2) == V{3});
  CHECK(text({5, 3}, 1, 5) == V{2});
  CHECK(text({2}, 1, 1).empty());
  CHECK(text({}, 1, 1).empty());
}

TEST_CASE("lengths of schemes and tokens, by group, on any number of threads", "[lengths]") {
  const TemporaryFolder folder;
  LengthsConfig c = config_for(folder.write("sample.jsonl", json_lines(sample)));
  c.input.group_field = "lang";
  const std::string ranks = std::string(BLT_TEST_DATA) + "/tokenizers/small.tiktoken";
  c.schemes = {
      "space", "strided:4", "byte", "entropy:2.0", "combined:1.0,add=0.5", "entropy:2.0,max=3"};
  c.tokenizers = {"small=" + ranks + ":gpt2"};
  test::FakeEntropies source;
  NullReporter reporter;
  const LengthsReport report = measure_lengths(c, &source, reporter);
  CHECK(source.calls > 1);
  CHECK(report.all.documents == sample.size());
  REQUIRE(report.measures.size() == 7);
  using patch::Scheme;
  patch::Rules rules;
  rules.scheme = Scheme::space;
  CHECK(sorted_values(report.all.lengths[0]) == expected_patches(rules));
  rules.scheme = Scheme::strided;
  CHECK(sorted_values(report.all.lengths[1]) == expected_patches(rules));
  CHECK(report.all.lengths[2].max() == 1);
  CHECK(report.all.lengths[2].count() == report.all.bytes);
  rules.scheme = Scheme::entropy;
  rules.threshold = 2;
  CHECK(sorted_values(report.all.lengths[3]) == expected_patches(rules));
  rules.max_patch_length = 3;
  CHECK(sorted_values(report.all.lengths[5]) == expected_patches(rules));
  rules.max_patch_length.reset();
  rules.scheme = Scheme::combined;
  rules.threshold = 1;
  rules.threshold_add = 0.5;
  CHECK(sorted_values(report.all.lengths[4]) == expected_patches(rules));

  text::Encoder encoder(text::Tokenizer::open(ranks, "gpt2"));
  std::size_t tokens = 0;
  for (const auto& [lang, document] : sample) tokens += encoder.encode(document).size();
  CHECK(report.all.lengths[6].count() == tokens);
  for (const auto& lengths : report.all.lengths) CHECK(lengths.total() == report.all.bytes);

  REQUIRE(report.groups.size() == 3);
  CHECK(report.groups[0].name == "de");
  CHECK(report.groups[1].name == "en");
  CHECK(report.groups[1].documents == 3);
  std::uint64_t bytes = 0;
  for (const auto& group : report.groups) bytes += group.bytes;
  CHECK(bytes == report.all.bytes);

  const ThreadLimit one(1);
  CHECK(to_json(measure_lengths(c, &source, reporter)) == to_json(report));
  const std::string text = to_text(report);
  CHECK(text.find("small (tokens)") != std::string::npos);
  CHECK(text.find("Mean length by group") != std::string::npos);
}

TEST_CASE("a fitted threshold reaches its mean size", "[lengths]") {
  const TemporaryFolder folder;
  Random random(2);
  std::string text;
  for (int i = 0; i < 20000; ++i) text += static_cast<char>(random.below(256));
  LengthsConfig c = config_for(folder.write("noise.bin", text));
  c.input.format = "binary";
  c.schemes = {"entropy:size=4.5", "monotonic:size=4"};
  test::FakeEntropies source;
  NullReporter reporter;
  const LengthsReport report = measure_lengths(c, &source, reporter);
  CHECK(report.all.lengths[0].mean() == Approx(4.5).margin(0.15));
  CHECK(report.all.lengths[1].mean() == Approx(4.0).margin(0.15));
  CHECK(report.measures[0].facts.at("fitted_to") == 4.5);
  CHECK(report.measures[0].facts.at("threshold").get<double>() > 0);
}

TEST_CASE("shards are inputs: their patches, their entropies, their groups", "[lengths]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("shards");
  std::filesystem::create_directory(path);
  shard::WriterOptions options;
  options.entropies = true;
  shard::Writer writer(path, options);
  patch::Rules rules;
  rules.threshold = 2;
  for (const auto& [lang, text] : sample) {
    shard::Record record;
    record.id = lang + text.substr(0, 3);
    record.group = lang;
    record.text = text;
    const auto ids = patch::encode(text);
    for (const auto id : ids) record.entropies.push_back(test::fake_entropy(id));
    record.patch_lengths = patch::cut(ids, record.entropies, rules);
    writer.add(record);
  }
  shard::Manifest manifest;
  manifest.patching = {{"scheme", "entropy"}, {"threshold", 2.0}};
  manifest.has_entropies = true;
  manifest.shards = writer.finish();
  shard::write_manifest(path, manifest);

  NullReporter reporter;
  LengthsConfig c = config_for(path);
  c.schemes = {"entropy:2.01"};  // off the values that float16 rounds
  const LengthsReport report = measure_lengths(c, nullptr, reporter);
  REQUIRE(report.measures.size() == 2);
  CHECK(report.measures[1].name == "shards");
  CHECK(sorted_values(report.all.lengths[1]) == expected_patches(rules));
  rules.threshold = 2.01;
  CHECK(sorted_values(report.all.lengths[0]) == expected_patches(rules));
  CHECK(report.groups.size() == 3);

  const ShardFacts facts = read_shard_facts(path, reporter);
  CHECK(facts.documents == sample.size());
  CHECK(facts.bytes == report.all.bytes);
  CHECK(facts.patch_lengths.total() == facts.bytes);
  CHECK(facts.patch_lengths.count() == report.all.lengths[1].count());
  CHECK(facts.has_entropies);
  CHECK(facts.entropy_mean > 0.5);
  CHECK(to_json(facts).at("patching").at("scheme") == "entropy");
  CHECK(to_text(facts).find("Patch lengths in bytes of text") != std::string::npos);
}

TEST_CASE("what cannot be measured is refused", "[lengths]") {
  const TemporaryFolder folder;
  NullReporter reporter;
  LengthsConfig c = config_for(folder.write("a.txt", "text"));
  c.schemes = {"entropy:1"};
  CHECK_THROWS_AS(measure_lengths(c, nullptr, reporter), Error);
  c.schemes = {"space"};
  c.tokenizers = {folder.file("missing.tiktoken")};
  CHECK_THROWS_AS(measure_lengths(c, nullptr, reporter), Error);
  c.tokenizers.clear();
  c.input.inputs = {folder.file("missing.txt")};
  CHECK_THROWS_AS(measure_lengths(c, nullptr, reporter), Error);
  test::FakeEntropies source;
  c.input.inputs = {"-"};
  c.schemes = {"entropy:size=4"};
  CHECK_THROWS_WITH(measure_lengths(c, &source, reporter), Catch::Contains("standard input"));
}
