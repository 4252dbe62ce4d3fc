// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/threads.h"
#include "blt/patch/pipeline.h"
#include "blt/patch/records.h"
#include "fake_entropy_source.h"

using namespace blt;
using namespace blt::patch;
using blt::test::FakeEntropySource;
namespace fs = std::filesystem;

namespace {

// A corpus of 300 small JSON documents and a folder to work in.
struct Fixture {
  fs::path folder = fs::temp_directory_path() / cat("blt-pipeline-", ::getpid());
  std::string corpus = folder / "corpus.jsonl";

  Fixture() {
    fs::remove_all(folder);
    fs::create_directories(folder);
    Random random(5);
    std::ofstream out(corpus);
    for (int i = 0; i < 300; ++i) {
      std::string text;
      for (std::uint64_t k = random.below(3000); k > 0; --k)
        text += random.below(6) ? static_cast<char>('a' + random.below(26)) : ' ';
      out << Json{{"id", cat("doc-", i)}, {"lang", i % 3 ? "en" : "de"}, {"text", text}}.dump()
          << "\n";
    }
  }
  ~Fixture() { fs::remove_all(folder); }

  PipelineOptions options(const std::string& name, Scheme scheme = Scheme::space) const {
    PipelineOptions made;
    made.corpus.inputs = {corpus};
    made.corpus.documents.group_field = "lang";
    made.output = folder / name;
    made.rules.scheme = scheme;
    made.batch_bytes = 5000;
    made.writer.shard_bytes = 100000;
    made.writer.block_bytes = 20000;
    return made;
  }
};

NullReporter quiet;

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder))
    files[entry.path().filename()] = read_file(entry.path());
  return files;
}

std::vector<shard::Record> records_of(const std::string& folder) {
  std::vector<shard::Record> records;
  shard::Reader reader(folder);
  for (shard::Record record; reader.next(record);) records.push_back(record);
  return records;
}

ErrorKind kind_of(const PipelineOptions& options, EntropySource* source = nullptr) {
  try {
    make_shards(options, source, quiet);
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::internal;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "shards hold the documents in order with the lengths of the rules") {
  const PipelineResult result = make_shards(options("shards"), nullptr, quiet);
  CHECK(result.documents == 300);
  CHECK(result.shards > 1);
  const auto records = records_of(folder / "shards");
  REQUIRE(records.size() == 300);
  io::DocumentReader reader({corpus}, options("").corpus.documents);
  std::uint64_t patches = 0;
  for (const auto& record : records) {
    io::Document document;
    REQUIRE(reader.next(document));
    CHECK(record.id == document.id);
    CHECK(record.group == document.group);
    CHECK(record.text == document.text);
    CHECK(record.patch_lengths == cut_document(document.text, {}, result.rules));
    patches += record.patch_lengths.size();
  }
  CHECK(result.patches == patches);
  const shard::Manifest manifest = shard::read_manifest(folder / "shards");
  CHECK(manifest.patches() == patches);
  CHECK(manifest.patching.at("scheme") == "space");
  CHECK(manifest.patching.at("threshold").is_null());
  CHECK(manifest.entropy_model.is_null());
  CHECK(shard::verify(folder / "shards").problems.empty());
}

TEST_CASE_METHOD(Fixture, "what is written does not depend on threads or batches") {
  FakeEntropySource source;
  const auto make = [&](const std::string& name, int threads, std::uint64_t batch) {
    const ThreadLimit limit(threads);
    PipelineOptions made = options(name, Scheme::monotonic);
    made.writer.entropies = true;
    made.mean_patch_size = 4.5;
    made.sample_bytes = 50000;
    FakeEntropySource own(batch);
    make_shards(made, &own, quiet);
    return contents(folder / name);
  };
  const auto one = make("one", 1, 3000);
  CHECK(one == make("two", 2, 50000));
  CHECK(one == make("many", 7, 1));
}

TEST_CASE_METHOD(Fixture, "a fitted threshold gives the wished size on the corpus and is stored") {
  for (const Scheme scheme : {Scheme::entropy, Scheme::monotonic, Scheme::combined}) {
    FakeEntropySource source;
    PipelineOptions made = options(cat("fit-", scheme_name(scheme)), scheme);
    made.mean_patch_size = 4.5;
    made.sample_bytes = 1 << 30;  // the whole corpus
    const PipelineResult result = make_shards(made, &source, quiet);
    CHECK(std::abs(result.mean_patch_size() - 4.5) < 0.045);
    const shard::Manifest manifest = shard::read_manifest(made.output);
    CHECK(manifest.patching.at("threshold").get<double>() == result.rules.threshold);
    CHECK(manifest.patching.at("calibration").at("sample_bytes") == result.bytes);
    CHECK(manifest.entropy_model.at("digest") == source.digest());
    CHECK_FALSE(manifest.has_entropies);
  }
}

TEST_CASE_METHOD(Fixture, "the two halves make up the corpus") {
  const auto ids = [&](const std::string& split) {
    PipelineOptions made = options(split);
    made.corpus.held_out = 0.2;
    made.corpus.split = split;
    std::set<std::string> found;
    const PipelineResult result = make_shards(made, nullptr, quiet);
    CHECK(result.left_out + result.documents == 300);
    for (const auto& record : records_of(made.output)) found.insert(record.id);
    return found;
  };
  const auto train = ids("train"), held_out = ids("held-out");
  CHECK(train.size() + held_out.size() == 300);
  CHECK(held_out.size() > 30);
  CHECK(held_out.size() < 100);
  for (const auto& id : held_out) CHECK_FALSE(train.count(id));
}

TEST_CASE_METHOD(Fixture, "stored entropies serve for calibration") {
  FakeEntropySource source;
  PipelineOptions made = options("kept", Scheme::entropy);
  made.rules.threshold = 2;
  made.writer.entropies = true;
  make_shards(made, &source, quiet);
  const Sample sample = sample_shards({made.output}, false, 1 << 30, 0);
  const Calibration found = calibrate(sample, made.rules, 4);
  CHECK(std::abs(found.patch_size - 4) < 0.04);
  CHECK_THROWS_AS(sample_shards({made.output}, true, 1 << 30, 0), Error);
  CorpusOptions stored;
  stored.inputs = {made.output};
  Records records(stored, {}, nullptr);
  shard::Record record;
  REQUIRE(records.next(record));
  CHECK(record.entropies.size() == record.text.size() + 2);
}

TEST_CASE_METHOD(Fixture, "nothing is written on errors, and nothing existing is touched") {
  make_shards(options("there"), nullptr, quiet);
  const auto before = contents(folder / "there");
  CHECK(kind_of(options("there")) == ErrorKind::output);
  PipelineOptions again = options("again");
  again.corpus.inputs = {folder / "there"};
  CHECK(kind_of(again) == ErrorKind::usage);
  PipelineOptions bad = options("there");
  bad.force = true;
  std::ofstream(folder / "bad.jsonl") << "{\"text\": \"fine\"}\n{\"text\": \"not closed\n";
  bad.corpus.inputs = {corpus, folder / "bad.jsonl"};
  CHECK(kind_of(bad) == ErrorKind::input);
  CHECK(contents(folder / "there") == before);
  bad.corpus.documents.on_error = "skip";
  const PipelineResult result = make_shards(bad, nullptr, quiet);
  CHECK(result.skipped == 1);
  CHECK(result.documents == 301);
  for (const auto& entry : fs::directory_iterator(folder))
    CHECK(entry.path().filename().string().find("tmp") == std::string::npos);
}

TEST_CASE_METHOD(Fixture, "wrong options are refused before anything is read") {
  CHECK(kind_of(options("x", Scheme::entropy)) == ErrorKind::usage);
  CHECK(kind_of(options("x", Scheme::delimiter)) == ErrorKind::usage);
  PipelineOptions made = options("x");
  made.mean_patch_size = 4;
  CHECK(kind_of(made) == ErrorKind::usage);
  made = options("x");
  made.entropy_model = "somewhere";
  CHECK(kind_of(made) == ErrorKind::usage);
  made = options("x");
  made.corpus.split = "train";
  CHECK(kind_of(made) == ErrorKind::usage);
  made = options("missing/x");
  CHECK(kind_of(made) == ErrorKind::output);
  made = options("x");
  made.corpus.inputs = {folder / "no-such-file"};
  CHECK(kind_of(made) == ErrorKind::input);
  CHECK_FALSE(fs::exists(folder / "x"));
}

TEST_CASE_METHOD(Fixture, "a dry run writes nothing") {
  PipelineOptions made = options("dry");
  made.dry_run = true;
  const PipelineResult result = make_shards(made, nullptr, quiet);
  CHECK(result.files.size() == 1);
  CHECK(result.documents == 0);
  CHECK(fs::directory_iterator(folder)->path() == fs::path(corpus));
  CHECK(std::distance(fs::directory_iterator(folder), fs::directory_iterator()) == 1);
}
