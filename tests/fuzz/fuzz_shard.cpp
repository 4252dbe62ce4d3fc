// SPDX-License-Identifier: MIT
// A shard file of any bytes: what is read tiles, and damage is an input error.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>

#include "blt/base/error.h"
#include "blt/shard/shard.h"
#include "target.h"

namespace {

blt::shard::Record record(int i, bool entropies) {
  blt::shard::Record out;
  out.id = "doc-" + std::to_string(i);
  out.group = i % 2 == 0 ? "en" : "";
  out.text = std::string("text \xff ") + std::string(static_cast<std::size_t>(i) * 7, 'x');
  out.patch_lengths = {1, 2, static_cast<std::uint32_t>(out.text.size() - 1)};
  if (entropies) out.entropies.assign(out.text.size() + 2, 1.5F);
  return out;
}

std::string shard_bytes(bool entropies) {
  const auto folder = std::filesystem::temp_directory_path() / ("blt-fuzz-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  blt::shard::WriterOptions options;
  options.block_bytes = 64;
  options.entropies = entropies;
  blt::shard::Writer writer(folder.string(), options);
  for (int i = 0; i < 12; ++i) writer.add(record(i, entropies));
  const auto shards = writer.finish();
  std::ifstream file(folder / shards.at(0).file, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove_all(folder);
  return bytes;
}

}  // namespace

std::vector<std::string> blt::fuzz::seeds() { return {shard_bytes(false), shard_bytes(true)}; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const blt::fuzz::MemoryFile file(blt::fuzz::view(data, size));
  try {
    blt::shard::Reader reader(file.path());
    blt::shard::Record record;
    while (reader.next(record)) {
      const auto sum = std::accumulate(record.patch_lengths.begin(), record.patch_lengths.end(), std::uint64_t{0});
      blt::fuzz::require(sum == record.text.size() + 2);
    }
  } catch (const blt::Error& error) {
    blt::fuzz::require(error.kind() == blt::ErrorKind::input);
  }
  return 0;
}
