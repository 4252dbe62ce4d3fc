// SPDX-License-Identifier: MIT
// Runs of blt-patch that several processes share, or that are cut off and go on.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/random.h"
#include "blt/base/threads.h"
#include "blt/patch/pipeline.h"
#include "fake_entropy_source.h"

using namespace blt;
using namespace blt::patch;
using blt::test::FakeEntropySource;
namespace fs = std::filesystem;

namespace {

NullReporter quiet;

// A source that fails after a number of calls.
class FailingSource final : public EntropySource {
 public:
  explicit FailingSource(int calls) : calls_(calls) {}
  std::vector<std::vector<float>> entropies(
      std::span<const std::vector<TokenId>> documents) override {
    if (calls_-- == 0) throw resource_error("the source failed");
    return source_.entropies(documents);
  }
  std::string digest() const override { return source_.digest(); }
  std::uint64_t batch_bytes() const override { return source_.batch_bytes(); }

 private:
  int calls_;
  FakeEntropySource source_{20000};
};

using Contents = std::map<std::string, std::string>;

Contents contents(const fs::path& folder) {
  Contents files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files[fs::relative(entry.path(), folder)] = read_file(entry.path());
  return files;
}

// Two large files of JSON lines, one without ids, and eight small ones of text.
struct Fixture {
  fs::path folder = fs::temp_directory_path() / cat("blt-resume-", ::getpid());
  fs::path corpus = folder / "corpus";

  Fixture() {
    fs::remove_all(folder);
    fs::create_directories(corpus);
    Random random(3);
    for (const char* name : {"a.jsonl", "z.jsonl"}) {
      std::ofstream out(corpus / name);
      for (int i = 0; i < 400; ++i) {
        Json row = {{"text", text(random, 1500)}};
        if (name[0] == 'a') row["id"] = cat("a-", i);
        out << row.dump() << "\n";
      }
    }
    for (int i = 0; i < 8; ++i) std::ofstream(corpus / cat("m", i, ".txt")) << text(random, 30000);
  }
  ~Fixture() { fs::remove_all(folder); }

  static std::string text(Random& random, std::uint64_t most) {
    std::string out;
    for (std::uint64_t k = random.below(most); k > 0; --k)
      out += random.below(6) ? static_cast<char>('a' + random.below(26)) : ' ';
    return out;
  }

  PipelineOptions options(const std::string& name, std::size_t rank = 0, std::size_t size = 1) const {
    PipelineOptions made;
    made.corpus.inputs = {corpus};
    made.output = folder / name;
    made.rules.scheme = Scheme::monotonic;
    made.rules.threshold = 1.5;
    made.batch_bytes = 20000;
    made.writer.shard_bytes = 60000;
    made.writer.block_bytes = 15000;
    made.writer.entropies = true;
    made.ranks = {rank, size};
    return made;
  }
  PipelineResult make(const PipelineOptions& options, std::uint64_t batch = 20000) const {
    FakeEntropySource source(batch);
    return make_shards(options, &source, quiet);
  }
  // Cut off after so many calls of the source.
  Error cut_off(const PipelineOptions& options, int calls) const {
    FailingSource source(calls);
    try {
      make_shards(options, &source, quiet);
    } catch (const Error& error) {
      return error;
    }
    FAIL("was not cut off");
    return internal_error("");
  }
  std::string partial(const std::string& name) const { return folder / (name + ".partial"); }
};

Error error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  FAIL("no error");
  return internal_error("");
}

}  // namespace

TEST_CASE_METHOD(Fixture, "what is written does not depend on ranks, their order, threads or batches") {
  const PipelineResult alone = make(options("alone"));
  const Contents expected = contents(folder / "alone");
  CHECK(alone.complete);
  CHECK(alone.parts > 10);
  CHECK(alone.shards >= alone.parts);
  CHECK(alone.documents == 808);
  for (const std::size_t size : {2u, 3u, 30u}) {
    const std::string name = cat("shared-", size);
    PipelineResult last;
    for (std::size_t i = 0; i < size; ++i) {
      CHECK_FALSE(fs::exists(folder / name));
      const std::size_t rank = (i + 1) % size;
      const ThreadLimit limit(static_cast<int>(1 + rank % 4));
      last = make(options(name, rank, size), 1 + 30000 * (rank % 3));
      if (i + 1 < size && last.complete) break;  // ranks beyond the parts have nothing to do
    }
    CHECK(last.complete);
    CHECK(last.documents == 808);
    CHECK(contents(folder / name) == expected);
    CHECK_FALSE(fs::exists(partial(name)));
  }
  CHECK(shard::verify(folder / "alone").problems.empty());
}

TEST_CASE_METHOD(Fixture, "documents keep corpus order and ids, whatever the parts") {
  make(options("small"));
  PipelineOptions whole = options("whole");
  whole.writer.shard_bytes = 1 << 30;
  CHECK(make(whole).parts == 1);
  shard::Reader small(folder / "small"), one(folder / "whole");
  REQUIRE(small.size() == one.size());
  shard::Record a, b;
  while (small.next(a)) {
    REQUIRE(one.next(b));
    REQUIRE(a.id == b.id);
    REQUIRE(a.text == b.text);
    REQUIRE(a.patch_lengths == b.patch_lengths);
    REQUIRE(a.entropies == b.entropies);
  }
}

TEST_CASE_METHOD(Fixture, "a run that is cut off anywhere goes on and writes the same") {
  make(options("alone"));
  const Contents expected = contents(folder / "alone");
  for (int calls = 0; calls < 40; calls += 3) {
    const std::string name = cat("cut-", calls);
    const Error error = cut_off(options(name), calls);
    CHECK(error.kind() == ErrorKind::resource);
    CHECK(std::string(error.what()) == "the source failed");
    CHECK_FALSE(fs::exists(folder / name));
    const bool begun = fs::exists(partial(name));
    CHECK(begun == (error.hint().find(" parts are done") != std::string::npos));
    CHECK((begun || calls < 12));
    // Half of the runs go on as two ranks.
    if (calls % 2) {
      for (const std::size_t rank : {0u, 1u}) make(options(name, rank, 2));
    } else {
      FailingSource rest(1000);
      CHECK(make_shards(options(name), &rest, quiet).complete);
    }
    CHECK(contents(folder / name) == expected);
    CHECK_FALSE(fs::exists(partial(name)));
  }
}

TEST_CASE_METHOD(Fixture, "a rerun does the missing parts only") {
  cut_off(options("out"), 20);
  const auto done = std::count_if(fs::directory_iterator(partial("out")), fs::directory_iterator(),
                                  [](const auto& e) { return e.path().filename().string().starts_with("part-"); });
  REQUIRE(done > 2);
  const std::string shard = partial("out") + "/shards/shard-00000.bltz";
  const auto before = fs::last_write_time(shard);
  FakeEntropySource whole(20000), rest(20000);
  make_shards(options("alone"), &whole, quiet);
  make_shards(options("out"), &rest, quiet);
  CHECK(rest.positions < whole.positions);
  CHECK(rest.positions > 0);
  CHECK(fs::last_write_time(folder / "out/shard-00000.bltz") == before);
}

TEST_CASE_METHOD(Fixture, "damage in what an earlier run left is found and mended") {
  make(options("alone"));
  const Contents expected = contents(folder / "alone");
  const auto goes_on = [&](const std::string& name, const std::function<void(const std::string&)>& damage) {
    cut_off(options(name), 20);
    damage(partial(name));
    make(options(name));
    CHECK(contents(folder / name) == expected);
  };
  goes_on("no-shard", [](const std::string& path) { fs::remove(path + "/shards/shard-00001.bltz"); });
  goes_on("short-shard", [](const std::string& path) { fs::resize_file(path + "/shards/shard-00001.bltz", 100); });
  goes_on("no-record", [](const std::string& path) { fs::remove(path + "/part-00000.json"); });
  goes_on("bad-record", [](const std::string& path) { std::ofstream(path + "/part-00000.json") << "{\"shards\""; });
  goes_on("rests", [](const std::string& path) {
    std::ofstream(path + "/shards/shard-00003.bltz.tmp-77") << "half";
    std::ofstream(path + "/shards/shard-00003-009.bltz") << "of nobody";
    std::ofstream(path + "/plan.json.tmp-77") << "half";
  });
  cut_off(options("bad-plan"), 20);
  std::ofstream(partial("bad-plan") + "/plan.json") << "{}";
  CHECK(error_of([&] { make(options("bad-plan")); }).kind() == ErrorKind::input);
  PipelineOptions anew = options("bad-plan");
  anew.force = true;
  make(anew);
  CHECK(contents(folder / "bad-plan") == expected);
}

TEST_CASE_METHOD(Fixture, "other options are refused by name, and nothing is lost") {
  cut_off(options("out"), 20);
  const Contents before = contents(partial("out"));
  const auto refused = [&](const std::function<void(PipelineOptions&)>& change, const std::string& told) {
    PipelineOptions other = options("out");
    change(other);
    const Error error = error_of([&] { make(other); });
    CHECK(error.kind() == ErrorKind::output);
    CHECK(std::string(error.what()) == partial("out") + ": was begun with other options: " + told);
    CHECK(contents(partial("out")) == before);
  };
  refused([](PipelineOptions& o) { o.rules.threshold = 1.25; }, "threshold (1.5 then, 1.25 now)");
  refused([](PipelineOptions& o) { o.rules.scheme = Scheme::entropy; }, "scheme (\"monotonic\" then, \"entropy\" now)");
  refused([](PipelineOptions& o) { o.mean_patch_size = 4; },
          "threshold (1.5 then, null now), patch_size (null then, 4.0 now), sample_size (null then, 1048576 now), "
          "seed (null then, 0 now)");
  refused([](PipelineOptions& o) { o.corpus.documents.on_error = "skip"; }, "on_error (\"fail\" then, \"skip\" now)");
  refused([](PipelineOptions& o) { o.writer.compression_level = 4; o.writer.shard_bytes = 50000; },
          "shard_size (60000 then, 50000 now), level (3 then, 4 now)");
  refused([](PipelineOptions& o) { o.writer.entropy_type = shard::EntropyType::float32; },
          "entropy_type (\"float16\" then, \"float32\" now)");
  PipelineOptions looked = options("out");
  looked.dry_run = true;
  CHECK(make(looked).parts_done > 0);
  CHECK(contents(partial("out")) == before);
}

TEST_CASE_METHOD(Fixture, "inputs that changed are refused by name") {
  const auto refused = [&](const std::string& told) {
    const Error error = error_of([&] { make(options("out")); });
    CHECK(error.kind() == ErrorKind::input);
    CHECK(std::string(error.what()) == told + " when " + partial("out") + " was begun");
  };
  cut_off(options("out"), 20);
  const std::string file = corpus / "m3.txt", text = read_file(file);
  fs::resize_file(file, 10);
  refused(cat(file, ": has 10 bytes now, and had ", text.size()));
  fs::remove(file);
  refused(cat(corpus.string(), "/m4.txt: stands where ", file, " was"));
  write_file(file, text);
  write_file(corpus / "zz.txt", "new");
  refused("the corpus has 11 files now, and had 10");
  fs::remove(corpus / "zz.txt");
  fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(99));  // clocks do not matter
  CHECK(make(options("out")).complete);
}

TEST_CASE_METHOD(Fixture, "a threshold is fitted once, by the first of several processes") {
  const auto fitted = [&](const std::string& name, std::size_t rank, std::size_t size) {
    PipelineOptions made = options(name, rank, size);
    made.mean_patch_size = 4.5;
    made.sample_bytes = 50000;
    return made;
  };
  make(fitted("alone", 0, 1));
  const PipelineResult first = make(fitted("out", 1, 2));
  FakeEntropySource source(20000);
  const PipelineResult second = make_shards(fitted("out", 0, 2), &source, quiet);
  CHECK(second.complete);
  REQUIRE(first.calibration);
  REQUIRE(second.calibration);
  CHECK(first.rules.threshold == second.rules.threshold);
  CHECK(contents(folder / "out") == contents(folder / "alone"));
}

TEST_CASE_METHOD(Fixture, "a folder of something else is not touched, and a complete one is recognised") {
  fs::create_directories(partial("out"));
  std::ofstream(partial("out") + "/thesis.txt") << "precious";
  CHECK(error_of([&] { make(options("out")); }).kind() == ErrorKind::output);
  CHECK(contents(partial("out")) == Contents{{"thesis.txt", "precious"}});
  fs::remove_all(partial("out"));

  make(options("out"));
  const Contents before = contents(folder / "out");
  CHECK(error_of([&] { make(options("out")); }).kind() == ErrorKind::output);
  CHECK(make(options("out", 1, 2)).complete);  // a rank that comes late
  PipelineOptions other = options("out", 1, 2);
  other.rules.threshold = 1;
  CHECK(error_of([&] { make(other); }).kind() == ErrorKind::output);
  // Cut off behind the last rename.
  fs::create_directories(partial("out"));
  write_file(partial("out") + "/plan.json", "{}");
  CHECK(error_of([&] { make(options("out")); }).kind() == ErrorKind::output);
  CHECK_FALSE(fs::exists(partial("out")));
  CHECK(contents(folder / "out") == before);
}

TEST_CASE_METHOD(Fixture, "ranks: wrong numbers, --force and standard input are refused") {
  CHECK(error_of([&] { make(options("out", 2, 2)); }).kind() == ErrorKind::usage);
  PipelineOptions made = options("out", 0, 2);
  made.force = true;
  CHECK(error_of([&] { make(made); }).kind() == ErrorKind::usage);
  made = options("out", 0, 2);
  made.corpus.inputs = {"-"};
  CHECK(error_of([&] { make(made); }).kind() == ErrorKind::usage);
  CHECK_FALSE(fs::exists(partial("out")));
}

TEST_CASE_METHOD(Fixture, "what was left out is counted and listed over all parts") {
  std::ofstream(corpus / "a.jsonl", std::ios::app) << "bad\n";
  std::ofstream(corpus / "z.jsonl", std::ios::app) << "bad\n";
  fs::create_symlink("/proc/self/mem", corpus / "m9.txt");
  PipelineOptions made = options("out");
  made.corpus.documents.on_error = "skip";
  const PipelineResult result = make(made);
  CHECK(result.skipped == 3);
  CHECK(result.documents == 808);
  const Json extra = shard::read_manifest(made.output).extra;
  CHECK(extra.at("skipped") == 3);
  CHECK(extra.at("skipped_records") == Json{corpus.string() + "/a.jsonl:401: not valid JSON",
                                            corpus.string() + "/m9.txt: Input/output error",
                                            corpus.string() + "/z.jsonl:401: not valid JSON"});
}
