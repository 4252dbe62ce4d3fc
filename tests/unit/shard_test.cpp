// SPDX-License-Identifier: MIT
#include "blt/shard/shard.h"

#include <cmath>
#include <limits>
#include <thread>

#include "blt/base/files.h"
#include "blt/base/hash.h"
#include "shard_fixtures.h"

using namespace blt;
using namespace blt::shard;
using namespace blt::test;

namespace {

Record small_record() {
  Record record;
  record.id = "a";
  record.text = "hello";
  record.patch_lengths = {1, 4, 2};
  return record;
}

WriterOptions small_options(bool entropies) {
  WriterOptions options;
  options.block_bytes = 2000;
  options.shard_bytes = 20'000;
  options.entropies = entropies;
  return options;
}

}  // namespace

TEST_CASE("shards give back what was written, in order and by number") {
  for (const bool entropies : {false, true}) {
    const TemporaryFolder folder;
    const auto records = random_records(1, 300, 400, entropies);
    const Manifest written = write_folder(folder.path.string(), records, small_options(entropies));
    CHECK(written.shards.size() > 3);
    const Reader reader(folder.path.string());
    REQUIRE(reader.size() == records.size());
    Reader sequential(folder.path.string());
    Record record;
    for (std::size_t i = 0; i < records.size(); ++i) {
      REQUIRE(sequential.next(record));
      CHECK(same(record, records[i]));
      CHECK(same(reader.at(i), records[i]));
    }
    CHECK_FALSE(sequential.next(record));
    for (const std::size_t index : {299, 0, 150, 151, 150}) {
      sequential.seek(index);
      REQUIRE(sequential.next(record));
      CHECK(same(record, records[index]));
    }
    sequential.seek(300);
    CHECK_FALSE(sequential.next(record));
    CHECK(error_of([&] { sequential.seek(301); }).value().kind == ErrorKind::usage);
    CHECK(error_of([&] { reader.at(300); }).value().kind == ErrorKind::usage);
    CHECK(verify(folder.path.string()).problems.empty());
  }
}

TEST_CASE("the manifest tells counts, sums and what was given to it") {
  const TemporaryFolder folder;
  const auto records = random_records(2, 50, 300, false);
  Manifest manifest = write_folder(folder.path.string(), records, small_options(false));
  manifest.patching = Json{{"scheme", "entropy"}, {"threshold", 1.335442066192627}};
  manifest.entropy_model = Json{{"path", "lm"}, {"digest", "00ff"}};
  manifest.extra = Json{{"note", "any \xc3\xa4"}};
  write_manifest(folder.path.string(), manifest);

  const Manifest read = read_manifest(folder.path.string());
  CHECK(read.patching == manifest.patching);
  CHECK(read.entropy_model == manifest.entropy_model);
  CHECK(read.extra == manifest.extra);
  std::uint64_t bytes = 0, patches = 0;
  for (const auto& record : records) {
    bytes += record.text.size();
    patches += record.patch_lengths.size();
  }
  CHECK(read.documents() == 50);
  CHECK(read.bytes() == bytes);
  CHECK(read.patches() == patches);
  for (const auto& shard : read.shards) {
    const std::string content = slurp(folder / shard.file);
    Digest digest;
    digest.update(content);
    CHECK(shard.xxh3 == digest.hex());
    CHECK(shard.file_bytes == content.size());
  }
  const VerifyResult result = verify(folder.path.string());
  CHECK(result.problems.empty());
  CHECK(result.documents == 50);
  CHECK(result.bytes == bytes);
  CHECK(result.patches == patches);
}

TEST_CASE("one shard file is read without its manifest") {
  const TemporaryFolder folder;
  const auto records = random_records(3, 100, 500, true);
  const Manifest manifest = write_folder(folder.path.string(), records, small_options(true));
  REQUIRE(manifest.shards.size() > 1);
  const auto& first = manifest.shards[0];
  const Reader reader(folder / first.file);
  CHECK(reader.size() == first.documents);
  CHECK(reader.manifest().has_entropies);
  REQUIRE(reader.manifest().shards.size() == 1);
  CHECK(reader.manifest().patches() == first.patches);
  CHECK(same(reader.at(first.documents - 1), records[first.documents - 1]));
  CHECK(verify(folder / first.file).problems.empty());
  CHECK(verify(folder / first.file).documents == first.documents);
}

TEST_CASE("no documents make no shards, and empty documents are documents") {
  const TemporaryFolder folder;
  CHECK(write_folder(folder.path.string(), {}, {}).shards.empty());
  Reader none(folder.path.string());
  Record record;
  CHECK(none.size() == 0);
  CHECK_FALSE(none.next(record));
  CHECK(verify(folder.path.string()).problems.empty());

  const TemporaryFolder other;
  Record empty;
  empty.patch_lengths = {2};
  write_folder(other.path.string(), {empty, empty, empty}, {});
  const Reader reader(other.path.string());
  REQUIRE(reader.size() == 3);
  CHECK(same(reader.at(2), empty));
  CHECK(verify(other.path.string()).problems.empty());
}

TEST_CASE("very many empty documents are split over blocks") {
  const TemporaryFolder folder;
  Record empty;
  empty.patch_lengths = {1, 1};
  std::vector<Record> records(150'000, empty);
  records[140'000].id = "found";
  write_folder(folder.path.string(), records, {});
  const Reader reader(folder.path.string());
  CHECK(reader.size() == 150'000);
  CHECK(reader.at(140'000).id == "found");
}

TEST_CASE("a shard's bytes depend on the documents alone") {
  const TemporaryFolder a, b;
  const auto records = random_records(4, 60, 300, true);
  CHECK(write_folder(a.path.string(), records, small_options(true)).shards[0].xxh3 ==
        write_folder(b.path.string(), records, small_options(true)).shards[0].xxh3);
  CHECK(slurp(a / "manifest.json") == slurp(b / "manifest.json"));
}

TEST_CASE("entropies are kept as float16, rounded to the nearest") {
  const std::vector<std::pair<float, float>> cases{
      {0.0F, 0.0F},
      {1.0F, 1.0F},
      {-2.5F, -2.5F},
      {5.5606816F, 5.5625F},                  // ln 260
      {1.0F + 0x1.0p-11F, 1.0F},              // a tie goes to even
      {1.0F + 0x1.8p-10F, 1.0F + 0x1.0p-9F},  // a tie, upwards
      {65504.0F, 65504.0F},                   // the largest
      {65519.0F, 65504.0F},
      {65520.0F, std::numeric_limits<float>::infinity()},
      {-1e30F, -std::numeric_limits<float>::infinity()},
      {0x1.0p-14F, 0x1.0p-14F},  // the smallest normal number
      {0x1.8p-15F, 0x1.8p-15F},  // below it
      {0x1.0p-24F, 0x1.0p-24F},  // the smallest of all
      {0x1.0p-25F, 0.0F},        // a tie goes to even
      {0x1.8p-25F, 0x1.0p-24F},
      {0x1.0p-26F, 0.0F},
  };
  Record record;
  record.text.assign(cases.size() + 1 - 2, 'x');
  record.patch_lengths = {static_cast<std::uint32_t>(cases.size() + 1)};
  for (const auto& [value, kept] : cases) record.entropies.push_back(value);
  record.entropies.push_back(std::nanf(""));
  const TemporaryFolder folder;
  WriterOptions options;
  options.entropies = true;
  write_folder(folder.path.string(), {record}, options);
  const Record read = Reader(folder.path.string()).at(0);
  REQUIRE(read.entropies.size() == cases.size() + 1);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    INFO(cases[i].first);
    CHECK(read.entropies[i] == cases[i].second);
  }
  CHECK(std::isnan(read.entropies.back()));
  CHECK(std::signbit(read.entropies[2]));
}

TEST_CASE("entropies are kept as float32, bit for bit") {
  const TemporaryFolder folder;
  WriterOptions options;
  options.entropies = true;
  options.entropy_type = EntropyType::float32;
  Record record;
  record.entropies = {0.0F, 1.335442066192627F, 0x1.fffffep-3F, 1e-40F, 5.56F};
  record.text = "abc";
  record.patch_lengths = {5};
  write_folder(folder.path.string(), {record, record}, options);
  const Reader reader(folder.path.string());
  CHECK(reader.entropy_type() == EntropyType::float32);
  CHECK(same(reader.at(1), record));
  CHECK(verify(folder.path.string()).problems.empty());
}

TEST_CASE("records that do not tile are a defect of the caller") {
  const TemporaryFolder folder;
  WriterOptions options;
  options.entropies = true;
  Writer writer(folder.path.string(), options);
  const auto internal = [&](const Record& record) {
    return error_of([&] { writer.add(record); }).value().kind == ErrorKind::internal;
  };
  Record record = small_record();
  CHECK(internal(record));  // no entropies
  record.entropies.assign(7, 1.0F);
  record.patch_lengths = {1, 4, 1};
  CHECK(internal(record));
  record.patch_lengths = {1, 0, 4, 2};
  CHECK(internal(record));
  record.patch_lengths = {0xFFFFFFFFu, 8};  // its sum must not wrap
  CHECK(internal(record));
  record.patch_lengths = {};
  CHECK(internal(record));
  record.patch_lengths = {7};
  writer.add(record);
  CHECK(writer.finish().size() == 1);
}

TEST_CASE("the writer does not replace shards, nor take strange options") {
  const TemporaryFolder folder;
  folder.file("shard-00000.bltz", "precious");
  Writer writer(folder.path.string(), {});
  writer.add(small_record());
  const auto caught = error_of([&] { writer.finish(); });
  REQUIRE(caught);
  CHECK(caught->kind == ErrorKind::output);
  CHECK(slurp(folder / "shard-00000.bltz") == "precious");
  for (const WriterOptions& options : {WriterOptions{0, 1, 3, false}, WriterOptions{1, 0, 3, false},
                                       WriterOptions{1, 1, 99, false}}) {
    CHECK(error_of([&] { Writer bad(folder.path.string(), options); }).value().kind ==
          ErrorKind::usage);
  }
}

TEST_CASE("an unfinished shard leaves nothing") {
  const TemporaryFolder folder;
  {
    Writer writer(folder.path.string(), small_options(false));
    for (const auto& record : random_records(5, 10, 500, false)) writer.add(record);
  }
  CHECK(std::filesystem::is_empty(folder.path));
}

TEST_CASE("documents are read by many threads at once") {
  const TemporaryFolder folder;
  const auto records = random_records(6, 400, 200, true);
  write_folder(folder.path.string(), records, small_options(true));
  const Reader reader(folder.path.string());
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      Random random(t);
      for (int i = 0; i < 1000; ++i) {
        const auto index = random.below(records.size());
        wrong[t] += same(reader.at(index), records[index]) ? 0 : 1;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE("a manifest that is not one is an input error, and a problem to verify") {
  const TemporaryFolder folder;
  write_folder(folder.path.string(), random_records(7, 20, 100, false), {});
  const std::string good = slurp(folder / "manifest.json");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "not valid JSON"},
      {good.substr(0, 60), "not valid JSON"},
      {"[]", "not the manifest of a folder of shards"},
      {"{}", "not the manifest of a folder of shards"},
      {changed("blt-shards", "other"), "not the manifest of a folder of shards"},
      {changed("\"version\": 1", "\"version\": 2"), "format version 2 is not known"},
      {changed("\"version\": 1", "\"version\": \"1\""), "field \"version\" is not a count"},
      {changed("\"documents\": 20", "\"documents\": 21"),
       "the totals are not the sums over the shards"},
      {changed("\"documents\": 20", "\"documents\": -20"), "field \"documents\" is not a count"},
      {changed("\"entropies\": false", "\"entropies\": 0"),
       "field \"entropies\" is not true or false"},
      {changed("\"patching\"", "\"patchin\""), "no field \"patching\""},
      {changed("shard-00000.bltz", "../shard-00000.bltz"),
       "field \"file\" is not a plain file name"},
      {changed("shard-00000.bltz", ".."), "field \"file\" is not a plain file name"},
      {changed("shard-00000.bltz", ""), "field \"file\" is not a plain file name"},
      {changed("\"test\"", std::string(100, '[') + std::string(100, ']')), "nested more than 100 deep"},
  };
  for (const auto& [text, message] : cases) {
    INFO(message);
    folder.file("manifest.json", text);
    check_input_error_with([&] { Reader reader(folder.path.string()); }, message);
    const auto result = verify(folder.path.string());
    REQUIRE(result.problems.size() == 1);
    CHECK_THAT(result.problems[0], Catch::StartsWith("manifest.json:") && Catch::Contains(message));
  }
  std::filesystem::remove(folder / "manifest.json");
  check_input_error([&] { Reader reader(folder.path.string()); },
                    folder / "manifest.json" + ": No such file or directory");
  CHECK(verify(folder.path.string()).problems ==
        std::vector<std::string>{"manifest.json: No such file or directory"});
  const std::string missing = folder / "missing";
  check_input_error([&] { verify(missing); }, missing + ": No such file or directory");
}

TEST_CASE("verify finds false counts, missing and strange shards, and tells all of them") {
  const TemporaryFolder folder;
  Manifest manifest =
      write_folder(folder.path.string(), random_records(8, 200, 400, false), small_options(false));
  REQUIRE(manifest.shards.size() >= 4);
  ++manifest.shards[0].documents;
  ++manifest.shards[0].bytes;
  ++manifest.shards[0].patches;
  manifest.shards[1].file_bytes += 7;
  manifest.shards[2].xxh3[0] = manifest.shards[2].xxh3[0] == '0' ? '1' : '0';
  manifest.has_entropies = true;
  write_manifest(folder.path.string(), manifest);
  std::filesystem::remove(folder / manifest.shards[3].file);
  folder.file("shard-99999.bltz", "x");
  const auto problems = verify(folder.path.string()).problems;
  const auto told = [&](const std::string& text) {
    return std::any_of(problems.begin(), problems.end(), [&](const std::string& problem) {
      return problem.find(text) != std::string::npos;
    });
  };
  const auto documents = manifest.shards[0].documents;
  CHECK(told(
      cat("shard-00000.bltz: has ", documents - 1, " documents, the manifest says ", documents)));
  CHECK(told(cat(" bytes of text, the manifest says ", manifest.shards[0].bytes)));
  CHECK(told(cat(" patches, the manifest says ", manifest.shards[0].patches)));
  CHECK(told(cat("shard-00001.bltz: has ", manifest.shards[1].file_bytes - 7,
                 " bytes, the manifest says ")));
  CHECK(told("shard-00002.bltz: XXH3-128 is "));
  CHECK(told("shard-00003.bltz: No such file or directory"));
  CHECK(told("shard-00000.bltz: has no entropies, the manifest says otherwise"));
  CHECK(told("shard-99999.bltz: not in the manifest"));
}
