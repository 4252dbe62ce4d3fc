// SPDX-License-Identifier: MIT
// Whatever is written reads back: any documents, any sizes of blocks and shards.
#include <rapidcheck.h>

#include "../unit/shard_fixtures.h"

using namespace blt;
using namespace blt::shard;
using namespace blt::test;

namespace {

Record any_record(bool entropies) {
  Record record;
  record.id = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  record.group = *rc::gen::element<std::string>("", "de", "any \xff");
  record.text = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  // Now and then a text whose sizes take more than one byte.
  if (*rc::gen::inRange(0, 8) == 0)
    record.text += std::string(*rc::gen::inRange<std::size_t>(100, 40'000), 'x');
  const std::size_t positions = record.text.size() + 2;
  for (std::size_t left = positions; left > 0;) {
    const auto length = *rc::gen::inRange<std::size_t>(1, left + 1);
    record.patch_lengths.push_back(static_cast<std::uint32_t>(length));
    left -= length;
  }
  if (entropies) {
    record.entropies.assign(positions, static_cast<float>(*rc::gen::inRange(0, 2048)) / 256.0F);
    record.entropies[*rc::gen::inRange<std::size_t>(0, positions)] = 0.0F;
  }
  return record;
}

}  // namespace

TEST_CASE("shards: read(write(documents)) == documents") {
  const bool passed = rc::check("identity", [] {
    WriterOptions options;
    options.entropies = *rc::gen::arbitrary<bool>();
    options.entropy_type = *rc::gen::element(EntropyType::float16, EntropyType::float32);
    options.block_bytes = *rc::gen::inRange<std::uint64_t>(1, 5000);
    options.shard_bytes = *rc::gen::inRange<std::uint64_t>(1, 20'000);
    options.compression_level = *rc::gen::inRange(-3, 8);
    std::vector<Record> records;
    const auto count = *rc::gen::inRange<std::size_t>(0, 40);
    for (std::size_t i = 0; i < count; ++i) records.push_back(any_record(options.entropies));

    const TemporaryFolder folder;
    write_folder(folder.path.string(), records, options);
    const auto result = verify(folder.path.string());
    RC_ASSERT(result.problems.empty());
    RC_ASSERT(result.documents == count);
    Reader reader(folder.path.string());
    RC_ASSERT(reader.size() == count);
    Record record;
    for (const auto& expected : records) {
      RC_ASSERT(reader.next(record));
      RC_ASSERT(same(record, expected));
    }
    RC_ASSERT(!reader.next(record));
    if (count > 0) {
      const auto index = *rc::gen::inRange<std::size_t>(0, count);
      RC_ASSERT(same(reader.at(index), records[index]));
    }
  });
  CHECK(passed);
}
