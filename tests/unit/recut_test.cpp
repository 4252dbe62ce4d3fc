// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/threads.h"
#include "blt/patch/recut.h"
#include "fake_entropy_source.h"

using namespace blt;
using namespace blt::patch;
using blt::test::FakeEntropySource;
using shard::EntropyType;
namespace fs = std::filesystem;

namespace {

NullReporter quiet;

// A corpus of 200 lines, as documents, and a folder to work in.
struct Fixture {
  fs::path folder = fs::temp_directory_path() / cat("blt-recut-", ::getpid());
  std::string corpus = folder / "corpus.txt";

  Fixture() {
    fs::remove_all(folder);
    fs::create_directories(folder);
    Random random(8);
    std::ofstream out(corpus);
    for (int i = 0; i < 200; ++i) {
      for (std::uint64_t k = 1 + random.below(2000); k > 0; --k)
        out << (random.below(6) ? static_cast<char>('a' + random.below(26)) : ' ');
      out << '\n';
    }
  }
  ~Fixture() { fs::remove_all(folder); }

  static shard::WriterOptions writer(bool entropies, EntropyType type) {
    shard::WriterOptions options{60000, 7000, 3, entropies, type};
    return options;
  }

  // Cuts the corpus with the fake model.
  std::string cut(const std::string& name, const Rules& rules, bool entropies,
                  EntropyType type = EntropyType::float32) const {
    PipelineOptions options;
    options.corpus.inputs = {corpus};
    options.corpus.documents.split_lines = true;
    options.output = folder / name;
    options.rules = rules;
    options.batch_bytes = 5000;
    options.writer = writer(entropies, type);
    FakeEntropySource source;
    make_shards(options, entropies || needs_entropies(rules.scheme) ? &source : nullptr, quiet);
    return options.output;
  }

  RecutOptions again(const std::string& name, const std::vector<std::string>& shards,
                     const Rules& rules) const {
    RecutOptions options;
    options.shards = shards;
    options.output = folder / name;
    options.rules = rules;
    options.batch_bytes = 5000;
    options.writer = writer(false, EntropyType::float16);
    return options;
  }
};

Rules rules_of(Scheme scheme, double threshold) {
  Rules rules;
  rules.scheme = scheme;
  rules.threshold = threshold;
  return rules;
}

// The shards alone: manifests tell where they came from.
std::map<std::string, std::string> shards_in(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".bltz")
      files[entry.path().filename()] = read_file(entry.path());
  }
  return files;
}

ErrorKind kind_of(const RecutOptions& options) {
  try {
    recut_shards(options, quiet);
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::internal;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "recut from float32 gives what the model gave, byte for byte") {
  std::vector<Rules> all;
  for (const auto scheme : {Scheme::entropy, Scheme::monotonic, Scheme::combined, Scheme::topk,
                            Scheme::strided, Scheme::space, Scheme::byte}) {
    all.push_back(rules_of(scheme, 1.7));
    all.back().threshold_add = 0.3;
  }
  all.push_back(rules_of(Scheme::entropy, 3.5));
  all.back().max_patch_length = 7;
  const std::string source = cut("source", rules_of(Scheme::entropy, 1), true);
  for (std::size_t i = 0; i < all.size(); ++i) {
    INFO(scheme_name(all[i].scheme));
    const auto expected = shards_in(cut(cat("cut-", i), all[i], true));
    const PipelineResult result = recut_shards(again(cat("recut-", i), {source}, all[i]), quiet);
    REQUIRE(expected.size() > 1);
    CHECK(shards_in(folder / cat("recut-", i)) == expected);
    CHECK(result.documents == 200);
    CHECK(shard::verify(folder / cat("recut-", i)).problems.empty());
  }
}

TEST_CASE_METHOD(Fixture, "recut from float16 differs only within half a step of the threshold") {
  const Rules rules = rules_of(Scheme::entropy, 2.00049);  // half a step above 2 is 2.000977
  const std::string exact = cut("exact", rules, false),
                    rounded = cut("source", rules, true, EntropyType::float16);
  recut_shards(again("recut", {rounded}, rules), quiet);
  shard::Reader a(exact), b(folder / "recut");
  FakeEntropySource source;
  std::size_t differences = 0;
  for (shard::Record x, y; a.next(x) && b.next(y);) {
    const auto entropies =
        source.entropies(std::vector<std::vector<TokenId>>{encode(x.text)}).front();
    std::vector<bool> starts_x(entropies.size()), starts_y(entropies.size());
    const auto mark = [](const shard::Record& record, std::vector<bool>& starts) {
      std::size_t at = 0;
      for (const auto length : record.patch_lengths) {
        starts[at] = true;
        at += length;
      }
    };
    mark(x, starts_x);
    mark(y, starts_y);
    for (std::size_t p = 1; p < entropies.size(); ++p) {
      if (starts_x[p] == starts_y[p]) continue;
      ++differences;
      CHECK(std::abs(static_cast<double>(entropies[p - 1]) - rules.threshold) <= 0.5 * 0x1p-9);
    }
  }
  CHECK(differences > 0);
}

TEST_CASE_METHOD(Fixture, "recut keeps documents and entropies, and tells where they came from") {
  const std::string source =
      cut("source", rules_of(Scheme::entropy, 1), true, EntropyType::float16);
  RecutOptions options = again("new", {source}, rules_of(Scheme::monotonic, 0));
  options.mean_patch_size = 4;
  options.sample_bytes = 1 << 30;
  const PipelineResult result = recut_shards(options, quiet);
  CHECK(std::abs(result.mean_patch_size() - 4) < 0.04);
  shard::Reader before(source), after(options.output);
  REQUIRE(before.size() == after.size());
  for (shard::Record x, y; before.next(x) && after.next(y);) {
    CHECK((x.id == y.id && x.group == y.group && x.text == y.text && x.entropies == y.entropies));
  }
  const shard::Manifest& manifest = after.manifest();
  CHECK(after.entropy_type() == EntropyType::float16);
  CHECK(manifest.patching.at("threshold") == result.rules.threshold);
  CHECK(manifest.patching.at("calibration").at("patch_size") == 4);
  CHECK(manifest.entropy_model == before.manifest().entropy_model);
  const Json& from = manifest.extra.at("cut_from").at(0);
  CHECK(from.at("shards") == source);
  CHECK(from.at("patching") == before.manifest().patching);
  CHECK(from.at("entropies") == "float16");
  CHECK(from.at("manifest_xxh3").get<std::string>().size() == 32);
  CHECK(from.at("extra").at("corpus").at(0) == corpus);
}

TEST_CASE_METHOD(Fixture,
                 "recut takes several folders and files in order, and any scheme its due") {
  const std::string with = cut("with", rules_of(Scheme::entropy, 1), true),
                    without = cut("without", rules_of(Scheme::space, 0), false);
  RecutOptions options =
      again("both", {without, with + "/shard-00001.bltz"}, rules_of(Scheme::strided, 0));
  recut_shards(options, quiet);
  shard::Reader first(without), second(with + "/shard-00001.bltz"), both(options.output);
  REQUIRE(both.size() == first.size() + second.size());
  CHECK(both.at(0).id == first.at(0).id);
  CHECK(both.at(first.size()).text == second.at(0).text);
  CHECK_FALSE(both.manifest().has_entropies);
  CHECK(both.manifest().entropy_model.is_null());

  options = again("dropped", {with}, rules_of(Scheme::entropy, 2));
  options.drop_entropies = true;
  recut_shards(options, quiet);
  shard::Reader dropped(options.output);
  CHECK_FALSE(dropped.manifest().has_entropies);
  CHECK(dropped.manifest().entropy_model == shard::read_manifest(with).entropy_model);
  CHECK(dropped.at(0).entropies.empty());
}

TEST_CASE_METHOD(Fixture, "what recut writes does not depend on threads or batches") {
  const std::string source = cut("source", rules_of(Scheme::entropy, 1), true);
  const auto make = [&](const std::string& name, int threads, std::uint64_t batch) {
    const ThreadLimit limit(threads);
    RecutOptions options = again(name, {source}, rules_of(Scheme::combined, 2));
    options.batch_bytes = batch;
    recut_shards(options, quiet);
    auto files = shards_in(options.output);
    files["manifest.json"] = read_file(options.output + "/manifest.json");
    return files;
  };
  const auto one = make("one", 1, 3000);
  CHECK(one == make("two", 2, 50000));
  CHECK(one == make("many", 7, 1));
}

TEST_CASE_METHOD(Fixture, "recut refuses what it cannot do, and leaves everything as it was") {
  const std::string with = cut("with", rules_of(Scheme::entropy, 1), true),
                    without = cut("without", rules_of(Scheme::space, 0), false);
  const auto before = shards_in(with);
  CHECK(kind_of(again("new", {without}, rules_of(Scheme::topk, 0))) == ErrorKind::usage);
  CHECK(kind_of(again("new", {with, without}, rules_of(Scheme::entropy, 1))) == ErrorKind::usage);
  CHECK(kind_of(again("new", {with}, rules_of(Scheme::delimiter, 0))) == ErrorKind::usage);
  CHECK(kind_of(again("new", {corpus}, rules_of(Scheme::space, 0))) == ErrorKind::input);
  CHECK(kind_of(again("with", {with}, rules_of(Scheme::space, 0))) == ErrorKind::output);
  Rules reset = rules_of(Scheme::entropy, 1);
  reset.newline_reset = true;
  CHECK(kind_of(again("new", {with}, reset)) == ErrorKind::usage);
  shard::Manifest other = shard::read_manifest(cut("other", rules_of(Scheme::entropy, 1), true));
  other.entropy_model["digest"] = std::string(32, '0');
  shard::write_manifest(folder / "other", other);
  CHECK(kind_of(again("new", {with, folder / "other"}, rules_of(Scheme::entropy, 1))) ==
        ErrorKind::usage);
  // Damage is found on the way, after shards were written.
  const std::string last = folder / "other" / other.shards.back().file;
  std::fstream(last, std::ios::in | std::ios::out).seekp(200).put('\x55');
  RecutOptions damaged = again("with", {folder / "other"}, rules_of(Scheme::entropy, 1));
  damaged.force = true;
  CHECK(kind_of(damaged) == ErrorKind::input);
  CHECK_FALSE(fs::exists(folder / "new"));
  CHECK(shards_in(with) == before);
  for (const auto& entry : fs::directory_iterator(folder))
    CHECK(entry.path().filename().string().find("tmp") == std::string::npos);
}
