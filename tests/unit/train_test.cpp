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

// Twelve documents with ids of their own: what is held out hangs on the id, which the folder's name must not change.
void write_corpus(const TemporaryFolder& folder) {
  std::string lines;
  for (int i = 0; i < 12; ++i) {
    std::string text;
    for (int line = 0; line < 60; ++line) text += cat("line ", line, " of document ", i, ": the quick brown fox\n");
    lines += Json{{"id", cat("document ", i)}, {"text", text}}.dump() + "\n";
  }
  write_file(folder / "corpus/twelve.jsonl", lines);
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

TEST_CASE("a run with heads resumes to the same bytes, and a model keeps its heads") {
  TemporaryFolder folder;
  write_corpus(folder);
  NullReporter reporter;
  const auto config = [&](const std::string& output, const std::string& kind) {
    TrainConfig c = entropy_config(folder, output);
    c.mtp = 3;
    c.mtp_heads = kind;
    c.mtp_weight = 0.5;
    c.mtp_decay = 0.5;
    return c;
  };
  for (const std::string kind : {"linear", "layer"}) {
    INFO(kind);
    const std::string a = folder / (kind + "-a"), b = folder / (kind + "-b");
    CHECK(train::run(config(kind + "-a", kind), reporter) == 0);
    CHECK(train::run(config(kind + "-b", kind), reporter) == 0);
    fs::remove_all(b + "/checkpoint-16");
    fs::remove(b + "/latest");
    fs::create_symlink("checkpoint-8", b + "/latest");
    TrainConfig again = config(kind + "-b", kind);
    again.resume = true;
    CHECK(train::run(again, reporter) == 0);
    for (const char* file : {"/model.safetensors", "/heads.safetensors", "/latest/optimizer.safetensors"}) {
      CHECK(read_file(a + file) == read_file(b + file));
    }
    again.mtp_weight = 1;
    CHECK_THROWS_WITH(train::run(again, reporter), Catch::Contains("mtp_weight: 0.5 -> 1"));

    const auto lines = metrics(a);
    const Json first = lines.front()["head_bits_per_byte"], last = lines[lines.size() - 2]["head_bits_per_byte"];
    REQUIRE(first.size() == 3);
    CHECK(lines.front()["bits_per_byte"] == first[0]);
    for (std::size_t head = 0; head < 3; ++head) CHECK(last[head].get<double>() < first[head].get<double>() - 1);
    const Json held_out = lines.back();
    CHECK(held_out["held_out_head_bits_per_byte"][0] == held_out["held_out_bits_per_byte"]);
    for (const auto& share : held_out["held_out_head_acceptance"]) CHECK((share > 0.05 && share < 1));

    // From a model with heads, and from one without.
    TrainConfig next = entropy_config(folder, "next");
    next.init = a;
    next.train_bytes = 1024;
    next.force = true;
    CHECK(train::run(next, reporter) == 0);
    const Json heads = read_json_file(folder / "next/config.json")["blt_toolkit"]["heads"];
    CHECK(heads == Json{{"count", 3}, {"kind", kind}});
    next.learning_rate = 0;
    CHECK(train::run(next, reporter) == 0);
    CHECK(read_file(folder / "next/heads.safetensors") == read_file(a + "/heads.safetensors"));
    next.mtp = 4;
    CHECK_THROWS_WITH(train::run(next, reporter), Catch::Contains("has 3 heads of kind " + kind));
    next.mtp = 1;
    CHECK(train::run(next, reporter) == 0);
    CHECK_FALSE(fs::exists(folder / "next/heads.safetensors"));
    CHECK(read_file(folder / "next/model.safetensors") == read_file(a + "/model.safetensors"));
    next.init = folder / "next";
    next.output = folder / "fresh";
    next.mtp = 2;
    next.mtp_heads = kind;
    CHECK(train::run(next, reporter) == 0);
    CHECK(read_json_file(folder / "fresh/config.json")["blt_toolkit"]["heads"]["count"] == 2);
  }
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

  TrainConfig more = c;
  more.train_bytes = 512 * 8;
  more.output = folder / "heads";
  more.mtp = 4;
  more.mtp_heads = "layer";
  CHECK(train::run(more, reporter) == 0);
  const auto with_heads = metrics(folder / "heads");
  CHECK(with_heads.back()["held_out_head_bits_per_byte"].size() == 4);
  for (const auto& bits : with_heads.back()["held_out_head_bits_per_byte"]) CHECK(bits < 7);

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
