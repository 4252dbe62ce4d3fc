// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <zlib.h>

#include <cstring>

#include "blt/base/error.h"
#include "blt/base/random.h"
#include "blt/config/stats_config.h"
#include "blt/io/documents.h"
#include "blt/io/safetensors.h"
#include "blt/stats/compress.h"
#include "blt/stats/score.h"
#include "unit/stats_fakes.h"

using namespace blt;
using namespace blt::stats;
using test::FakeScorer;
using test::TemporaryFolder;

namespace {

const std::vector<std::string> texts = {"Hello, world", "", "a",
                                        "the quick brown fox jumps over it all", "\xFF\x80z"};

std::string lines() {
  std::string out;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    // Bytes that JSON cannot carry stay out: files of their own hold those.
    if (i < 4)
      out += dump_json({{"id", "d" + std::to_string(i)},
                        {"lang", i % 2 ? "odd" : "even"},
                        {"text", texts[i]}}) +
             "\n";
  }
  return out;
}

double bits_of(const std::string& text) {
  double bits = 0;
  for (const char c : text)
    bits += FakeScorer::bits(
        static_cast<patch::TokenId>(static_cast<unsigned char>(c) + patch::byte_offset));
  return bits;
}

template <class T>
std::vector<T> values(const io::TensorView& tensor) {
  std::vector<T> out(tensor.data.size() / sizeof(T));
  std::memcpy(out.data(), tensor.data.data(), tensor.data.size());
  return out;
}

}  // namespace

TEST_CASE("bits per byte is the sum of nats over ln 2 and bytes", "[score]") {
  const TemporaryFolder folder;
  BpbConfig c;
  c.input.inputs = {folder.write("a.jsonl", lines()), folder.write("b.bin", texts[4])};
  double bits = 0, bytes = 0;
  for (const auto& text : texts) {
    bits += bits_of(text);
    bytes += static_cast<double>(text.size());
  }
  NullReporter reporter;
  FakeScorer lm(false);
  const BpbReport plain = measure_bpb(c, lm, reporter);
  CHECK(plain.all.documents == texts.size());
  CHECK(static_cast<double>(plain.all.bytes) == bytes);
  CHECK(plain.all.bits_per_byte() == Approx(bits / bytes));
  CHECK(plain.all.patches == 0);
  CHECK(plain.groups.empty());
  CHECK(lm.calls > 1);

  c.eos = true;
  FakeScorer blt(true);
  const BpbReport with_eos = measure_bpb(c, blt, reporter);
  CHECK(with_eos.all.bits_per_byte() ==
        Approx((bits + 8 * static_cast<double>(texts.size())) / bytes));
  // Patches of three positions, the last two positions being EOS and what follows it.
  std::uint64_t patches = 0;
  for (const auto& text : texts) patches += (text.size() + 2) / 3;
  CHECK(with_eos.all.patches == patches);
  CHECK(with_eos.all.patch_size() == Approx(bytes / static_cast<double>(patches)));
  CHECK(to_json(with_eos).at("eos") == true);
  CHECK(to_text(with_eos).find("bytes/patch") != std::string::npos);
}

TEST_CASE("bits per byte by group and by split", "[score]") {
  const TemporaryFolder folder;
  BpbConfig c;
  std::string corpus;
  for (int i = 0; i < 200; ++i)
    corpus += dump_json({{"id", "n" + std::to_string(i)},
                         {"lang", i % 2 ? "b" : "a"},
                         {"text", std::string(5, static_cast<char>('a' + i % 4))}}) +
              "\n";
  c.input.inputs = {folder.write("a.jsonl", corpus)};
  c.input.group_field = "lang";
  NullReporter reporter;
  FakeScorer lm(false);
  const BpbReport all = measure_bpb(c, lm, reporter);
  REQUIRE(all.groups.size() == 2);
  CHECK(all.groups[0].name == "a");
  CHECK(all.groups[0].documents == 100);
  CHECK(all.groups[0].nats + all.groups[1].nats == Approx(all.all.nats));
  c.held_out = 0.3;
  c.split = "held-out";
  const BpbReport held = measure_bpb(c, lm, reporter);
  c.split = "train";
  const BpbReport train = measure_bpb(c, lm, reporter);
  std::uint64_t expected = 0;
  for (int i = 0; i < 200; ++i) expected += io::held_out("n" + std::to_string(i), 0.3);
  CHECK(held.all.documents == expected);
  CHECK(held.all.documents + train.all.documents == 200);
  CHECK(held.all.nats + train.all.nats == Approx(all.all.nats));
  c.split = "held-out";
  c.held_out = 0;
  CHECK_THROWS_AS(measure_bpb(c, lm, reporter), Error);
}

TEST_CASE("the compressors count what their programs would write", "[score]") {
  Random random(9);
  std::string text;
  for (int i = 0; i < 300000; ++i)
    text += static_cast<char>('a' + random.below(1 + static_cast<std::uint64_t>(i) % 9));
  auto gzip = gzip_size();
  gzip->add(std::string_view(text).substr(0, 1000));
  gzip->add(std::string_view(text).substr(1000));
  gzip->add("");
  std::string packed(compressBound(text.size()) + 64, '\0');
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  CHECK(gzip->finish() == stream.total_out);
  deflateEnd(&stream);
  if (auto xz = xz_size()) {
    xz->add(text);
    const std::uint64_t bytes = xz->finish();
    CHECK(bytes > text.size() / 10);
    CHECK(bytes < text.size() / 2);
  } else {
    WARN("built without liblzma: xz is not tested");
  }
}

TEST_CASE("--compare joins the documents that were scored", "[score]") {
  const TemporaryFolder folder;
  BpbConfig c;
  c.input.inputs = {folder.write("a.jsonl", lines())};
  c.compare = true;
  NullReporter reporter;
  FakeScorer lm(false);
  const BpbReport report = measure_bpb(c, lm, reporter);
  auto gzip = gzip_size();
  for (std::size_t i = 0; i < 4; ++i) gzip->add(texts[i]);
  REQUIRE_FALSE(report.compressors.empty());
  CHECK(report.compressors[0].name == "gzip -9");
  CHECK(report.compressors[0].bytes == gzip->finish());
  CHECK(report.compressors[0].bits_per_byte ==
        Approx(8.0 * static_cast<double>(report.compressors[0].bytes) /
               static_cast<double>(report.all.bytes)));
}

TEST_CASE("a trace holds ids, entropies, patches and logits of each document", "[score]") {
  const TemporaryFolder folder;
  TraceConfig c;
  c.input.inputs = {folder.write("a.jsonl", lines()), folder.write("b.bin", texts[4])};
  c.output = folder.file("trace.safetensors");
  NullReporter reporter;
  FakeScorer blt(true);
  const TraceCounts counts = write_trace(c, blt, reporter);
  CHECK(counts.documents == texts.size());
  {
    const io::SafetensorsFile file(c.output);
    CHECK(file.tensors().size() == 4 * texts.size());
    CHECK(file.metadata().at("0") == "d0");
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::string name = std::to_string(i);
      const auto ids = patch::encode(texts[i], true, false);
      CHECK(values<std::int64_t>(file.at(name + ".ids")) ==
            std::vector<std::int64_t>(ids.begin(), ids.end()));
      const auto entropies = values<float>(file.at(name + ".entropies"));
      REQUIRE(entropies.size() == ids.size());
      CHECK(entropies.back() == test::fake_entropy(ids.back()));
      std::int64_t covered = 0;
      for (const auto length : values<std::int64_t>(file.at(name + ".patch_lengths")))
        covered += length;
      CHECK(covered == static_cast<std::int64_t>(ids.size()) + 1);
      const auto& logits = file.at(name + ".logits");
      CHECK(logits.dtype == io::DType::f32);
      CHECK(logits.shape == std::vector<std::int64_t>{static_cast<std::int64_t>(ids.size()), 260});
      CHECK(values<float>(logits)[260 * (ids.size() - 1) + 7] ==
            static_cast<float>(ids.back()) + 0.001f * 7);
    }
  }
  CHECK_THROWS_AS(write_trace(c, blt, reporter), Error);  // it exists
  c.force = true;
  c.logits = false;
  c.eos = true;
  FakeScorer lm(false);
  write_trace(c, lm, reporter);
  const io::SafetensorsFile file(c.output);
  CHECK(file.tensors().size() == 2 * texts.size());
  CHECK(values<std::int64_t>(file.at("2.ids")) == std::vector<std::int64_t>{1, 'a' + 4, 2});
  c.max_bytes = 20;
  CHECK_THROWS_AS(write_trace(c, lm, reporter), Error);
}
