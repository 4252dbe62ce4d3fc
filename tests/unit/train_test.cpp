// SPDX-License-Identifier: MIT
// The trainer on small corpora: it learns, a resume gives the same bytes, pieces tile, bad input is refused.
#include <unistd.h>

#include <filesystem>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/json.h"
#include "blt/patch/rules.h"
#include "blt/shard/shard.h"
#include "blt/train/loader.h"
#include "blt/train/optimizer.h"
#include "blt/train/trainer.h"
#undef CHECK
#include <catch2/catch.hpp>

using namespace blt;
namespace fs = std::filesystem;

namespace {

struct TemporaryFolder {
  fs::path path = fs::temp_directory_path() / cat("blt-train-test-", ::getpid());
  TemporaryFolder() { fs::create_directories(path / "corpus"); }
  ~TemporaryFolder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

void write_corpus(const TemporaryFolder& folder) {
  for (int i = 0; i < 12; ++i) {
    std::string text;
    for (int line = 0; line < 60; ++line) text += cat("line ", line, " of document ", i, ": the quick brown fox\n");
    write_file(folder / cat("corpus/", i, ".txt"), text);
  }
}

TrainConfig entropy_config(const TemporaryFolder& folder, const std::string& output) {
  TrainConfig c;
  c.kind = "entropy";
  c.data = {folder / "corpus"};
  c.output = folder / output;
  c.sequence_length = 128;
  c.batch_bytes = 512;
  c.train_bytes = 512 * 16;
  c.warmup = 2;
  c.held_out = 0.2;
  c.eval_every = 0;
  c.save_every = 8;
  c.log_every = 1;
  c.dtype = "float32";
  return c;
}

std::vector<Json> metrics(const std::string& run) {
  std::vector<Json> out;
  std::istringstream lines(read_file(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) out.push_back(Json::parse(line));
  return out;
}

}  // namespace

TEST_CASE("pieces tile the document and end at patch borders") {
  train::TokenDocument document;
  document.ids = patch::encode(std::string(1000, 'x'));
  for (std::size_t sum = 0; sum < document.ids.size();) {
    const std::uint32_t n = sum == 0 ? 1 : static_cast<std::uint32_t>(std::min<std::size_t>(7, document.ids.size() - sum));
    document.patch_lengths.push_back(n);
    sum += n;
  }
  for (const bool patches : {false, true}) {
    if (!patches) document.patch_lengths.clear();
    std::vector<patch::TokenId> joined;
    for (const auto& piece : train::cut_pieces(document, 100)) {
      CHECK(piece.ids.size() <= 100);
      joined.insert(joined.end(), piece.ids.begin(), piece.ids.end());
      CHECK(piece.next_id == (joined.size() < document.ids.size() ? document.ids[joined.size()] : -1));
    }
    CHECK(joined == document.ids);
  }
}

TEST_CASE("the schedule warms up, peaks and ends at its floor") {
  TrainConfig c;
  c.learning_rate = 1;
  c.min_learning_rate = 0.1;
  c.warmup = 10;
  CHECK(train::scheduled_rate(c, 0, 100) == Approx(0.1));
  CHECK(train::scheduled_rate(c, 10, 100) == Approx(1));
  CHECK(train::scheduled_rate(c, 55, 100) == Approx(0.55));
  CHECK(train::scheduled_rate(c, 100, 100) == Approx(0.1));
}

TEST_CASE("training learns, repeats to the byte, and resumes to the same bytes") {
  TemporaryFolder folder;
  write_corpus(folder);
  NullReporter reporter;
  CHECK(train::run(entropy_config(folder, "a"), reporter) == 0);
  const auto a = metrics(folder / "a");
  CHECK(a.front()["bits_per_byte"].get<double>() > 6);
  CHECK(a.back()["held_out_bits_per_byte"].get<double>() < 6);
  CHECK(fs::exists(folder / "a/config.json"));

  CHECK(train::run(entropy_config(folder, "b"), reporter) == 0);
  const std::string weights = read_file(folder / "a/model.safetensors");
  CHECK(weights == read_file(folder / "b/model.safetensors"));

  // As if the run had stopped after step 8.
  fs::remove_all(folder / "b/checkpoint-16");
  fs::remove(folder / "b/latest");
  fs::create_symlink("checkpoint-8", folder / "b/latest");
  TrainConfig again = entropy_config(folder, "b");
  again.resume = true;
  CHECK(train::run(again, reporter) == 0);
  CHECK(weights == read_file(folder / "b/model.safetensors"));
  CHECK(metrics(folder / "b").size() == a.size());

  again.learning_rate = 1e-3;
  CHECK_THROWS_WITH(train::run(again, reporter), Catch::Contains("learning_rate: 0.002 -> 0.001"));
  CHECK_THROWS_WITH(train::run(entropy_config(folder, "a"), reporter), Catch::Contains("already exists"));
  CHECK(weights == read_file(folder / "a/model.safetensors"));
}

TEST_CASE("a BLT trains on shards without an entropy model") {
  TemporaryFolder folder;
  fs::create_directories(folder / "shards");
  shard::Writer writer(folder / "shards", {});
  for (int i = 0; i < 12; ++i) {
    shard::Record record;
    record.id = std::to_string(i);
    for (int line = 0; line < 40; ++line) record.text += cat("line ", line, " of document ", i, ": the quick brown fox\n");
    record.patch_lengths = {1};
    for (std::size_t sum = 1; sum < record.text.size() + 2;) {
      const auto n = std::min<std::size_t>(5, record.text.size() + 2 - sum);
      record.patch_lengths.push_back(static_cast<std::uint32_t>(n));
      sum += n;
    }
    writer.add(record);
  }
  shard::Manifest manifest;
  manifest.shards = writer.finish();
  manifest.patching = {{"scheme", "strided"}, {"patch_size", 5.0}};
  shard::write_manifest(folder / "shards", manifest);
  TrainConfig c = entropy_config(folder, "blt");
  c.kind = "blt";
  c.data = {folder / "shards"};
  c.hash_rows = 101;
  NullReporter reporter;
  CHECK(train::run(c, reporter) == 0);
  const auto lines = metrics(folder / "blt");
  CHECK(lines.back()["held_out_bits_per_byte"].get<double>() < 6);
  const Json config = read_json_file(folder / "blt/config.json");
  CHECK(config["blt_toolkit"]["patching"]["scheme"] == "strided");
  CHECK(config["patch_in_forward"] == false);

  fs::copy(folder / "shards", folder / "other");
  manifest.patching["patch_size"] = 6.0;
  shard::write_manifest(folder / "other", manifest);
  c.data.push_back(folder / "other");
  c.force = true;
  CHECK_THROWS_WITH(train::run(c, reporter), Catch::Contains("cut by other rules"));
}

TEST_CASE("training refuses what it cannot use") {
  TemporaryFolder folder;
  NullReporter reporter;
  CHECK_THROWS_AS(train::run(entropy_config(folder, "x"), reporter), Error);  // an empty corpus folder
  TrainConfig c = entropy_config(folder, "x");
  c.data = {folder / "missing"};
  CHECK_THROWS_AS(train::run(c, reporter), Error);
  write_corpus(folder);
  fs::create_directories(folder / "precious");
  write_file(folder / "precious/data", "mine");
  c = entropy_config(folder, "precious");
  c.force = true;
  CHECK_THROWS_WITH(train::run(c, reporter), Catch::Contains("not a training run"));
  CHECK(read_file(folder / "precious/data") == "mine");
  CHECK_FALSE(fs::exists(folder / "x"));
}
