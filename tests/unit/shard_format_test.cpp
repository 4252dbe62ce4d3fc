// SPDX-License-Identifier: MIT
// The format as docs/format.md tells it, written and read here a second time without the library's
// own code.
#include <xxhash.h>
#include <zstd.h>

#include <cstdlib>

#include "shard_fixtures.h"

using namespace blt;
using namespace blt::shard;
using namespace blt::test;

namespace {

std::string number(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

std::uint64_t number_at(const std::string& bytes, std::size_t offset, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes.at(offset + i));
  return value;
}

std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 128; value /= 128) out += static_cast<char>(128 + value % 128);
  return out + static_cast<char>(value);
}

std::string skippable(std::uint32_t magic, const std::string& payload) {
  return number(magic, 4) + number(payload.size(), 4) + payload;
}

struct HandBlock {
  std::vector<Record> records;
  std::uint64_t documents = 0;  // as told; else records.size()

  std::string content() const {
    std::string ids, groups, sizes, text, counts, lengths, entropies;
    for (const auto& record : records) {
      ids += varint(record.id.size()) + record.id;
      groups += varint(record.group.size()) + record.group;
      sizes += varint(record.text.size());
      text += record.text;
      counts += varint(record.patch_lengths.size());
      for (const auto length : record.patch_lengths) lengths += varint(length);
    }
    std::string out =
        "BLTB" + number(1, 2) + number(0, 2) + number(documents ? documents : records.size(), 4);
    for (const auto* column : {&ids, &groups, &sizes, &text, &counts, &lengths, &entropies}) {
      out += number(column->size(), 4);
    }
    return out + ids + groups + sizes + text + counts + lengths + entropies;
  }
};

std::string frame_of(const std::string& content) {
  std::string out(ZSTD_compressBound(content.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  out.resize(ZSTD_compress2(context, out.data(), out.size(), content.data(), content.size()));
  ZSTD_freeCCtx(context);
  return out;
}

std::string hand_shard(const std::vector<std::string>& contents,
                       const std::vector<HandBlock>& told) {
  std::string file, table;
  const auto append = [&](const std::string& frame, const std::string& content) {
    file += frame;
    table += number(frame.size(), 4) + number(content.size(), 4) +
             number(XXH64(content.data(), content.size(), 0) & 0xffffffff, 4);
  };
  append(skippable(0x184D2A5D, "BLTSHARD" + number(1, 2) + number(0, 2) + number(0, 4)), "");
  std::uint64_t documents = 0, bytes = 0, patches = 0;
  std::string entries;
  for (std::size_t i = 0; i < contents.size(); ++i) {
    append(frame_of(contents[i]), contents[i]);
    std::uint64_t block_bytes = 0, block_patches = 0;
    for (const auto& record : told[i].records) {
      block_bytes += record.text.size();
      block_patches += record.patch_lengths.size();
    }
    entries +=
        number(told[i].records.size(), 4) + number(block_bytes, 4) + number(block_patches, 4);
    documents += told[i].records.size();
    bytes += block_bytes;
    patches += block_patches;
  }
  std::string index = "BLTINDEX" + number(documents, 8) + number(bytes, 8) + number(patches, 8) +
                      number(contents.size(), 4) + number(0, 4) + entries;
  index += number(XXH3_64bits(index.data(), index.size()), 8);
  append(skippable(0x184D2A5D, index), "");
  const std::size_t frames = contents.size() + 2;
  return file + skippable(0x184D2A5E, table + number(frames, 4) + "\x80" + number(0x8F92EAB1, 4));
}

std::string hand_shard(const std::vector<HandBlock>& blocks) {
  std::vector<std::string> contents;
  for (const auto& block : blocks) contents.push_back(block.content());
  return hand_shard(contents, blocks);
}

Record record(const std::string& id, const std::string& text, std::vector<std::uint32_t> lengths) {
  Record out;
  out.id = id;
  out.group = "g";
  out.text = text;
  out.patch_lengths = std::move(lengths);
  return out;
}

std::string run(const std::string& command) {
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe);
  char buffer[4096];
  for (std::size_t got; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
    out.append(buffer, got);
  REQUIRE(::pclose(pipe) == 0);
  return out;
}

}  // namespace

TEST_CASE("a shard written by the documented rules is read") {
  const TemporaryFolder folder;
  const HandBlock first{{record("a", "hello", {1, 4, 2}), record("", "", {2})}};
  const HandBlock second{{record("b", std::string(300, 'x'), {300, 2})}};
  const std::string path = folder.file("s.bltz", hand_shard({first, second}));
  const Reader reader(path);
  REQUIRE(reader.size() == 3);
  CHECK(same(reader.at(0), first.records[0]));
  CHECK(same(reader.at(1), first.records[1]));
  CHECK(same(reader.at(2), second.records[0]));
  CHECK(verify(path).problems.empty());
}

TEST_CASE("the writer's bytes are the documented ones") {
  const TemporaryFolder folder;
  WriterOptions options;
  options.block_bytes = 5;  // the first document fills a block
  const HandBlock first{{record("a", "hello", {1, 4, 2})}},
      second{{record("b", "x", {3}), record("c", "y", {1, 2})}};
  write_folder(folder.path.string(), {first.records[0], second.records[0], second.records[1]},
               options);
  CHECK(slurp(folder / "shard-00000.bltz") == hand_shard({first, second}));
}

TEST_CASE("zstd -d decodes a shard to its blocks") {
  if (std::system("command -v zstd > /dev/null") != 0) {
    WARN("no zstd program: skipped");
    return;
  }
  const TemporaryFolder folder;
  const auto records = random_records(9, 100, 300, true);
  WriterOptions options;
  options.block_bytes = 4000;
  options.entropies = true;
  const auto manifest = write_folder(folder.path.string(), records, options);
  REQUIRE(manifest.shards.size() == 1);
  const std::string decoded = run("zstd -dc < '" + folder / "shard-00000.bltz" + "'");
  // Walk the blocks: magic, version, flags, documents, seven column sizes.
  std::size_t at = 0, documents = 0;
  std::string text, expected;
  while (at < decoded.size()) {
    REQUIRE(decoded.substr(at, 4) == "BLTB");
    CHECK(number_at(decoded, at + 4, 2) == 1);
    CHECK(number_at(decoded, at + 6, 2) == 1);
    documents += number_at(decoded, at + 8, 4);
    std::size_t size = 40;
    for (std::size_t column = 0; column < 7; ++column) {
      const auto bytes = number_at(decoded, at + 12 + 4 * column, 4);
      if (column == 3) text += decoded.substr(at + size, bytes);
      size += bytes;
    }
    at += size;
  }
  CHECK(at == decoded.size());
  CHECK(documents == records.size());
  for (const auto& r : records) expected += r.text;
  CHECK(text == expected);
  CHECK_THAT(run("zstd -lv '" + folder / "shard-00000.bltz" + "' 2>&1"), Catch::Contains("XXH64"));
}

TEST_CASE("documents that are not tiled are read errors and each a problem to verify") {
  const TemporaryFolder folder;
  const HandBlock block{{record("ok", "hello", {7}), record("short", "hello", {1, 4}),
                         record("long", "hello", {8}), record("zero", "hello", {0, 7}),
                         record("wrap", "hello", {0xffffffff, 8}), record("none", "", {})}};
  const std::string path = folder.file("s.bltz", hand_shard({block}));
  CHECK(verify(path).problems ==
        std::vector<std::string>{
            "s.bltz: document \"short\": patch lengths sum to 5, expected 7",
            "s.bltz: document \"long\": patch lengths sum to 8, expected 7",
            "s.bltz: document \"zero\": patch 0 has length 0",
            "s.bltz: document \"wrap\": patch lengths sum to 4294967303, expected 7",
            "s.bltz: document \"none\": patch lengths sum to 0, expected 2",
        });
  const Reader reader(path);
  CHECK(reader.at(0).text == "hello");
  check_input_error_with([&] { reader.at(1); },
                         "document \"short\": patch lengths sum to 5, expected 7");
}

TEST_CASE("blocks that contradict themselves are refused, whatever their sums say") {
  const TemporaryFolder folder;
  const HandBlock good{{record("a", "hello", {1, 4, 2}), record("b", "xy", {4})}};
  const std::string content = good.content();
  const auto changed = [&](std::size_t offset, const std::string& bytes) {
    return std::string(content).replace(offset, bytes.size(), bytes);
  };
  const std::vector<std::pair<std::string, std::string>> cases{
      {changed(0, "X"), "not a block of documents"},
      {changed(4, number(2, 2)), "block version 2 is not known"},
      {changed(6, number(2, 2)), "unknown block flags 2"},
      {changed(6, number(1, 2)), "entropies"},
      {changed(8, number(0, 4)), "an impossible number of documents"},
      {changed(8, number(1, 4)), "a column is longer than its documents"},
      {changed(8, number(3, 4)), "cut off"},
      {changed(8, number(0xffffffff, 4)), "an impossible number of documents"},
      {changed(12, number(0xffffffff, 4)), "cut off"},
      {changed(12, number(3, 4)), "a block is longer than its columns"},
      {changed(36, number(1, 4)), "cut off"},
      {content.substr(0, content.size() - 1), "cut off"},
      {content.substr(0, 20), "cut off"},
      {content + "x", "a block is longer than its columns"},
      {changed(40, number(100, 1)), "cut off"},           // the first id's length
      {changed(48, number(4, 1)), "a column is longer"},  // the first text's size
      {changed(48, number(0x80, 1)), ""},                 // a varint that goes on
      {"", "cut off"},
  };
  for (const auto& [bytes, message] : cases) {
    INFO(message);
    const std::string path = folder.file("s.bltz", hand_shard({bytes}, {good}));
    check_input_error_with([&] { Reader(path).at(0); }, message);
    CHECK_FALSE(verify(path).problems.empty());
  }
  // Patch counts whose sum is more than the column holds.
  HandBlock many = good;
  std::string hostile = many.content();
  const std::size_t counts = hostile.size() - 4 - 2;
  REQUIRE(hostile[counts] == 3);
  hostile[counts] = 120;
  const std::string path = folder.file("s.bltz", hand_shard({hostile}, {good}));
  check_input_error_with([&] { Reader(path).at(0); }, "an impossible number of patches");
}

TEST_CASE("a seek table that lies about sizes costs no memory") {
  const TemporaryFolder folder;
  const HandBlock good{{record("a", "hello", {7})}};
  std::string bytes = hand_shard({good});
  // Entry 1 of three, before the 9 bytes of the footer: its decompressed size.
  const std::size_t at = bytes.size() - 9 - 2 * 12 + 4;
  bytes.replace(at, 4, number(0xffffffff, 4));
  const std::string path = folder.file("s.bltz", bytes);
  check_input_error([&] { Reader reader(path); }, path + ": the seek table is damaged at frame 1");
  bytes.replace(at, 4, number(1 << 20, 4));
  folder.file("s.bltz", bytes);
  check_input_error([&] { Reader(path).at(0); },
                    path + ": block 0: the frame is not the one in the seek table");
}
