// SPDX-License-Identifier: MIT
// Damaged shards and full disks.
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "../unit/shard_fixtures.h"
#include "blt/base/files.h"

using namespace blt;
using namespace blt::shard;
using namespace blt::test;

namespace {

WriterOptions small_blocks(bool entropies, EntropyType type) {
  WriterOptions options;
  options.block_bytes = 3000;
  options.entropies = entropies;
  options.entropy_type = type;
  return options;
}

// Reads everything; true when that ends with an input error, false when all of it is read and
// right.
bool refuses(const std::string& path, const std::vector<Record>& records) {
  try {
    Reader reader(path);
    Record record;
    std::size_t i = 0;
    for (; reader.next(record); ++i) {
      REQUIRE(i < records.size());
      REQUIRE(same(record, records[i]));  // never a wrong document
    }
    REQUIRE(i == records.size());
  } catch (const Error& error) {
    REQUIRE(error.kind() == ErrorKind::input);
    return true;
  }
  return false;
}

struct Damaged {
  TemporaryFolder folder;
  std::vector<Record> records;
  std::string path, good;

  explicit Damaged(bool entropies, EntropyType type = EntropyType::float16)
      : records(random_records(11, 60, 400, entropies)) {
    write_folder(folder.path.string(), records, small_blocks(entropies, type));
    path = folder / "shard-00000.bltz";
    good = slurp(path);
  }
  void put(const std::string& bytes) const { folder.file("shard-00000.bltz", bytes); }
};

}  // namespace

TEST_CASE("verify finds every flipped bit, and the reader gives no wrong document") {
  for (const auto& [entropies, type] :
       {std::pair{false, EntropyType::float16}, {true, EntropyType::float16},
        {true, EntropyType::float32}}) {
    const Damaged shard(entropies, type);
    Random random(12);
    int refused = 0;
    for (int i = 0; i < 400; ++i) {
      std::string bytes = shard.good;
      const std::size_t bit = random.below(8 * bytes.size());
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      shard.put(bytes);
      INFO("bit " << bit);
      const auto problems = verify(shard.folder.path.string()).problems;
      REQUIRE_FALSE(problems.empty());
      REQUIRE(problems[0].starts_with("shard-00000.bltz: XXH3-128 is "));
      refused += refuses(shard.path, shard.records) ? 1 : 0;
    }
    // Without the manifest's sum a few bits that change nothing (unused ones of frame headers) may
    // pass.
    CHECK(refused >= 396);
  }
}

TEST_CASE("each byte of header, index and seek table counts without a manifest") {
  const Damaged shard(false);
  Random random(16);
  const auto check_byte = [&](std::size_t byte) {
    std::string bytes = shard.good;
    const auto bit = random.below(8);
    bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << bit));
    shard.put(bytes);
    INFO("byte " << byte << " bit " << bit);
    REQUIRE(refuses(shard.path, shard.records));
    REQUIRE_FALSE(verify(shard.path).problems.empty());
  };
  for (std::size_t byte = 0; byte < 24; ++byte) check_byte(byte);
  const std::size_t index = shard.good.find("BLTINDEX");
  REQUIRE(index != std::string::npos);
  for (std::size_t byte = index - 8; byte < shard.good.size(); ++byte) check_byte(byte);
}

TEST_CASE("a truncated shard is refused wherever it is cut") {
  const Damaged shard(true);
  Random random(13);
  std::vector<std::size_t> sizes;
  for (std::size_t size = 0; size < 64; ++size) sizes.push_back(size);
  for (std::size_t cut = 1; cut < 64; ++cut) sizes.push_back(shard.good.size() - cut);
  for (int i = 0; i < 200; ++i) sizes.push_back(random.below(shard.good.size()));
  for (const std::size_t size : sizes) {
    INFO("size " << size);
    shard.put(shard.good.substr(0, size));
    REQUIRE(refuses(shard.path, shard.records));
    REQUIRE(refuses(shard.folder.path.string(), shard.records));
    REQUIRE_FALSE(verify(shard.folder.path.string()).problems.empty());
  }
}

TEST_CASE("bytes put in, taken out or added are found") {
  const Damaged shard(false);
  Random random(14);
  for (int i = 0; i < 200; ++i) {
    std::string bytes = shard.good;
    const std::size_t at = random.below(bytes.size());
    const std::size_t length = 1 + random.below(40);
    switch (i % 4) {
      case 0:
        bytes.insert(at, length, static_cast<char>(random.below(256)));
        break;
      case 1:
        bytes.erase(at, length);
        break;
      case 2:
        bytes.append(length, '\0');
        break;
      default:
        bytes.replace(at, std::min(length, bytes.size() - at), length, '\xff');
        break;
    }
    if (bytes == shard.good) continue;
    INFO("case " << i % 4 << " at " << at << " length " << length);
    shard.put(bytes);
    REQUIRE_FALSE(verify(shard.folder.path.string()).problems.empty());
    refuses(shard.path, shard.records);  // right documents or an input error
  }
}

TEST_CASE("one damaged block is told, and the others are still counted") {
  const Damaged shard(false);
  std::string bytes = shard.good;
  bytes[500] = static_cast<char>(bytes[500] ^ 0x55);
  shard.put(bytes);
  const auto result = verify(shard.folder.path.string());
  REQUIRE(result.problems.size() == 2);
  CHECK(result.problems[1].starts_with("shard-00000.bltz: block 0: "));
  CHECK(result.documents > shard.records.size() / 2);
  CHECK(result.documents < shard.records.size());
  // Documents of the other blocks can be read.
  const Reader reader(shard.folder.path.string());
  CHECK(same(reader.at(shard.records.size() - 1), shard.records.back()));
  CHECK(error_of([&] { reader.at(0); }).value().kind == ErrorKind::input);
}

namespace {

// Writes until the disk is full; the error, and what then lies in the folder.
void check_full_disk(const std::string& folder) {
  write_file(folder + "/precious", "kept");
  Random random(15);
  const auto caught = error_of([&] {
    Writer writer(folder, {});
    for (int i = 0; i < 100; ++i) {
      Record record;
      for (int k = 0; k < 20'000; ++k) record.text += static_cast<char>(random.next());
      record.patch_lengths = {20'002};
      writer.add(record);
    }
    writer.finish();
  });
  REQUIRE(caught);
  CHECK(caught->kind == ErrorKind::output);
  CHECK_THAT(caught->message, Catch::Contains("shard-00000.bltz: "));
  CHECK(slurp(folder + "/precious") == "kept");
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
}

}  // namespace

TEST_CASE("a full disk is an output error that leaves nothing behind") {
  const TemporaryFolder folder;
  const std::string mount = folder / "small";
  std::filesystem::create_directory(mount);
  if (::mount("tmpfs", mount.c_str(), "tmpfs", 0, "size=256k") != 0) {
    WARN("no tmpfs can be mounted (" << std::strerror(errno)
                                     << "): only the file size limit is tried");
    return;
  }
  check_full_disk(mount);
  ::umount(mount.c_str());
}

TEST_CASE("a file over the allowed size is an output error that leaves nothing behind") {
  const TemporaryFolder folder;
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 256 << 10;
  ::setrlimit(RLIMIT_FSIZE, &small);
  check_full_disk(folder.path.string());
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
}
