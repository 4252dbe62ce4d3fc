// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <thread>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/hash.h"
#include "blt/base/json.h"
#include "blt/base/memory.h"
#include "blt/base/random.h"
#include "blt/base/table.h"
#include "blt/base/units.h"

namespace fs = std::filesystem;
using namespace blt;

namespace {
struct TemporaryFolder {
  fs::path path = fs::temp_directory_path() / cat("blt-base-test-", ::getpid());
  TemporaryFolder() { fs::create_directories(path); }
  ~TemporaryFolder() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
};
}  // namespace

TEST_CASE("sizes read as people write them") {
  CHECK(parse_size("10") == 10);
  CHECK(parse_size("10k") == 10'000);
  CHECK(parse_size("256MiB") == 256 << 20);
  CHECK(parse_size("1.5GB") == 1'500'000'000);
  CHECK(parse_size("9223372036854775807") == INT64_MAX);
  CHECK(parse_size("2 MiB") == 2 << 20);
  for (const char* bad : {"", "x", "1x", "1.5", "1e30", "nan", "12MM", "--1"}) CHECK_FALSE(parse_size(bad));
}

TEST_CASE("numbers print without a locale") {
  CHECK(format_fixed(3.14159, 2) == "3.14");
  CHECK(format_double(1.335442066192627) == "1.335442066192627");
  CHECK(format_bytes(1536) == "1.5 KiB");
  CHECK(format_count(12345) == "12.3k");
  CHECK(format_seconds(250) == "4 min 10 s");
}

TEST_CASE("an error keeps its kind, context and hint") {
  try {
    with_context("corpus.jsonl:7", [] { throw input_error("string is not closed", "see line 7"); });
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::input);
    CHECK(std::string(error.what()) == "corpus.jsonl:7: string is not closed");
    CHECK(error.hint() == "see line 7");
  }
}

TEST_CASE("an atomic file appears at commit or not at all") {
  TemporaryFolder folder;
  const std::string path = folder / "a.txt";
  { AtomicFile file(path); file.write("lost"); }
  CHECK_FALSE(fs::exists(path));
  { AtomicFile file(path); file.write("xept"); file.write_at(0, as_bytes("k")); file.commit(); }
  CHECK(read_file(path) == "kept");
  CHECK_THROWS_AS(AtomicFile(path, false), Error);
  CHECK(read_file(path) == "kept");
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE("a staged folder replaces the old one only at commit") {
  TemporaryFolder folder;
  const std::string path = folder / "out";
  { StagedFolder staged(path, false); write_file(staged.path() + "/x", "1"); staged.commit(); }
  CHECK(read_file(path + "/x") == "1");
  CHECK_THROWS_AS(StagedFolder(path, false), Error);
  { StagedFolder staged(path, true); write_file(staged.path() + "/x", "2"); }
  CHECK(read_file(path + "/x") == "1");
  { StagedFolder staged(path, true); write_file(staged.path() + "/x", "2"); staged.commit(); }
  CHECK(read_file(path + "/x") == "2");
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE("JSON errors name file and line") {
  TemporaryFolder folder;
  const std::string path = folder / "bad.json";
  write_file(path, "{\n\"a\": 1,\n\"b\": }\n");
  CHECK_THROWS_WITH(read_json_file(path), path + ":3: not valid JSON");
}

TEST_CASE("hashes have the published values") {
  CHECK(xxh3_64(std::string_view("")) == 0x2d06800538d394c2u);  // XXH3_64bits of nothing, seed 0
  Digest digest;
  CHECK(digest.hex() == "99aa06d3014798d86001c324468d497f");
}

TEST_CASE("random numbers repeat, fill their range and resume") {
  Random a(7), b(7);
  for (int i = 0; i < 100; ++i) CHECK(a.next() == b.next());
  b.set_state(a.state());
  CHECK(a.next() == b.next());
  std::array<int, 5> seen{};
  double sum = 0, squares = 0;
  for (int i = 0; i < 50'000; ++i) {
    ++seen[a.below(5)];
    const double x = a.normal();
    sum += x;
    squares += x * x;
  }
  for (const int count : seen) CHECK(std::abs(count - 10'000) < 500);
  CHECK(std::abs(sum / 50'000) < 0.02);
  CHECK(std::abs(squares / 50'000 - 1) < 0.03);
  CHECK(mix_seed(1, 2) != mix_seed(2, 1));
}

TEST_CASE("a table aligns its columns") {
  Table table({"scheme", "mean"});
  table.add({"space", "5.90"});
  table.add({"entropy", "12.10"});
  CHECK(table.text() == "scheme    mean\nspace     5.90\nentropy  12.10\n");
}

TEST_CASE("memory of a file moves into huge pages while others read it") {
  const TemporaryFolder folder;
  const std::string path = folder / "numbers";
  constexpr std::size_t size = 9 * huge_page + 12345;
  const auto byte_at = [](std::size_t i) { return static_cast<std::byte>(mix_seed(i / 512, 7) >> (i % 8)); };
  {
    AtomicFile file(path);
    std::vector<std::byte> piece(4096);  // small writes: the system keeps such a file in small pages
    for (std::size_t at = 0; at < size; at += piece.size()) {
      piece.resize(std::min(piece.size(), size - at));
      for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = byte_at(at + i);
      file.write(piece);
    }
    file.commit();
  }
  const MappedFile file(path);
  const auto bytes = file.bytes();
  const auto wrong = [&] {
    std::size_t count = 0;
    for (std::size_t i = 0; i < size; i += 61) count += bytes[i] != byte_at(i);
    return count;
  };
  REQUIRE(wrong() == 0);
  std::atomic<bool> over{false};
  std::atomic<std::size_t> wrong_beside{0}, rounds{0};
  std::thread reader([&] {
    do {
      wrong_beside += wrong();
      ++rounds;
    } while (!over);
  });
  PageMover mover;
  mover.add(bytes.subspan(5 * huge_page));  // in any order
  mover.add(bytes.first(5 * huge_page));
  mover.move();
  CHECK(mover.moved() == 0);  // too early
  mover.finish();
  over = true;
  reader.join();
  CHECK(rounds > 0);
  CHECK(wrong_beside == 0);
  CHECK(wrong() == 0);
  const std::string enabled = "/sys/kernel/mm/transparent_hugepage/enabled";
  const bool available = fs::exists(enabled) && read_file(enabled).find("[never]") == std::string::npos;
  const auto whole = (reinterpret_cast<std::uintptr_t>(bytes.data()) + size) / huge_page -
                     (reinterpret_cast<std::uintptr_t>(bytes.data()) + huge_page - 1) / huge_page;
  CHECK(mover.moved() == (available ? whole * huge_page : 0));
}
