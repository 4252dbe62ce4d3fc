// SPDX-License-Identifier: MIT
#include "blt/io/safetensors.h"

#include <cstring>

#include "blt/base/files.h"
#include "blt/base/json.h"
#include "io_fixtures.h"

using namespace blt;
using namespace blt::io;
using namespace blt::test;

namespace {

std::string file_with(const std::string& header, const std::string& data) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(header.size() >> (8 * i));
  return out + header + data;
}

std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

std::string text_of(const TensorView& view) {
  return {reinterpret_cast<const char*>(view.data.data()), view.data.size()};
}

}  // namespace

TEST_CASE("what is written reads back") {
  const TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  const std::vector<float> values{1, -2, 3.5F, 0, 5, 6};
  SafetensorsWriter writer(path);
  writer.declare("w.\xc3\xa4\"", DType::f32, {2, 3});
  writer.declare("none", DType::i64, {0, 9});
  writer.declare("bytes", DType::u8, {5});
  writer.declare("scalar", DType::bf16, {});
  writer.metadata("format", "pt");
  writer.metadata("note", "two\nlines");
  const auto bytes = std::as_bytes(std::span(values));
  writer.write("w.\xc3\xa4\"", bytes.first(10));
  writer.write("w.\xc3\xa4\"", bytes.subspan(10));
  writer.write("bytes", as_bytes("hello"));
  writer.write("scalar", as_bytes("ab"));
  CHECK_FALSE(std::filesystem::exists(path));
  writer.commit();

  const SafetensorsFile file(path);
  REQUIRE(file.tensors().size() == 4);
  const TensorView& w = file.at("w.\xc3\xa4\"");
  CHECK(w.dtype == DType::f32);
  CHECK(w.shape == std::vector<std::int64_t>{2, 3});
  REQUIRE(w.data.size() == 24);
  CHECK(std::memcmp(w.data.data(), values.data(), 24) == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(w.data.data()) % 8 == 0);
  CHECK(file.at("none").data.empty());
  CHECK(file.at("none").shape == std::vector<std::int64_t>{0, 9});
  CHECK(text_of(file.at("bytes")) == "hello");
  CHECK(text_of(file.at("scalar")) == "ab");
  CHECK(file.at("scalar").shape.empty());
  CHECK(file.metadata().at("format") == "pt");
  CHECK(file.metadata().at("note") == "two\nlines");
  check_input_error([&] { file.at("x"); }, path + ": no tensor \"x\"");

  // The header is plain JSON, its keys in the declared order.
  const std::string raw = slurp(path);
  const auto json = Json::parse(
      raw.substr(8, static_cast<unsigned char>(raw[0]) + 256 * static_cast<unsigned char>(raw[1])));
  std::string names;
  for (const auto& item : json.items()) names += item.key() + " ";
  CHECK(names == "__metadata__ w.\xc3\xa4\" none bytes scalar ");
}

TEST_CASE("every dtype has its size and name") {
  const TemporaryFolder folder;
  const std::vector<std::tuple<DType, std::string, std::size_t>> all{
      {DType::f64, "F64", 8},     {DType::f32, "F32", 4}, {DType::f16, "F16", 2},
      {DType::bf16, "BF16", 2},   {DType::i64, "I64", 8}, {DType::i32, "I32", 4},
      {DType::i16, "I16", 2},     {DType::i8, "I8", 1},   {DType::u64, "U64", 8},
      {DType::u32, "U32", 4},     {DType::u16, "U16", 2}, {DType::u8, "U8", 1},
      {DType::boolean, "BOOL", 1}};
  for (const auto& [dtype, name, size] : all) {
    CHECK(dtype_name(dtype) == name);
    CHECK(dtype_size(dtype) == size);
    const std::string data(3 * size, 'x');
    const SafetensorsFile file(folder.file(
        "f", file_with("{\"a\":" + tensor(name, "[3]", cat("[0,", data.size(), "]")) + "}", data)));
    CHECK(file.at("a").dtype == dtype);
  }
}

TEST_CASE("tensors may be told in any order, and need not be aligned") {
  const TemporaryFolder folder;
  const std::string header =
      "{\"b\":" + tensor("F32", "[1]", "[3,7]") + ",\"a\":" + tensor("U8", "[3]", "[0,3]") + "}   ";
  const SafetensorsFile file(folder.file("f", file_with(header, "abcdefg")));
  CHECK(text_of(file.at("a")) == "abc");
  CHECK(text_of(file.at("b")) == "defg");
}

TEST_CASE("a file without tensors is legal") {
  const TemporaryFolder folder;
  CHECK(SafetensorsFile(folder.file("f", file_with("{}", ""))).tensors().empty());
  SafetensorsWriter writer(folder / "g");
  writer.commit();
  CHECK(SafetensorsFile(folder / "g").tensors().empty());
}

TEST_CASE("hostile headers are input errors that say what is wrong") {
  const TemporaryFolder folder;
  const std::string f4 = tensor("F32", "[1]", "[0,4]");
  const auto named = [](const std::string& body) { return "{\"a\":" + body + "}"; };
  struct Case {
    std::string header, data, message;
  };
  const std::vector<Case> cases{
      {named(tensor("F32", "[2]", "[0,8]")), "1234", "do not lie in the file's 4 bytes"},
      {named(tensor("F32", "[1]", "[4,0]")), "1234", "do not lie in the file's 4 bytes"},
      {named(tensor("F32", "[1]", "[0,18446744073709551615]")), "1234", "do not lie in"},
      {named(tensor("F32", "[2]", "[0,4]")), "1234", "the shape needs 8 bytes, the offsets hold 4"},
      {named(tensor("F32", "[4611686018427387904]", "[0,0]")), "",
       "more elements than can be counted"},
      {named(tensor("U8", "[4294967296,4294967296]", "[0,0]")), "",
       "more elements than can be counted"},
      {named(tensor("F32", "[-1]", "[0,4]")), "1234", "negative extent"},
      {named(tensor("F32", "[1.0]", "[0,4]")), "1234", "header: "},
      {named(tensor("F32", "[99999999999999999999]", "[0,4]")), "1234", "header: "},
      {named(tensor("F32", "[1]", "[0]")), "1234", "not a pair"},
      {named(tensor("F32", "[1]", "[0,4,4]")), "1234", "not a pair"},
      {named(tensor("F32", "[1]", "[-4,0]")), "1234", "header: "},
      {named(tensor("F32", "1", "[0,4]")), "1234", "header: "},
      {named(tensor("F33", "[1]", "[0,4]")), "1234", "dtype \"F33\" is not supported"},
      {named(R"({"dtype":"F32","shape":[1]})"), "1234", "not all there"},
      {named(R"({"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]})"), "1234",
       "\"dtype\" comes twice"},
      {named(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1})"), "1234",
       "unknown key \"x\""},
      {named("7"), "1234", "header: "},
      {"{\"a\":" + f4 + ",\"a\":" + f4 + "}", "1234", "inside the one before it"},
      {"{\"a\":" + tensor("U8", "[0]", "[0,0]") + ",\"\\u0061\":" + tensor("U8", "[0]", "[0,0]") +
           "}",
       "", "tensor \"a\" comes twice"},
      {"{\"a\":" + f4 + ",\"b\":" + tensor("F32", "[1]", "[2,6]") + "}", "123456",
       "inside the one before it"},
      {"{\"a\":" + f4 + ",\"b\":" + tensor("F32", "[1]", "[6,10]") + "}", "1234567890",
       "behind a gap"},
      {named(tensor("F32", "[1]", "[2,6]")), "123456", "behind a gap"},
      {named(f4), "123456", "the tensors hold 4 bytes, the file has 6 bytes of data"},
      {"{}", "x", "the tensors hold 0 bytes"},
      {R"({"__metadata__":{"a":1}})", "", "__metadata__: header: "},
      {R"({"__metadata__":{"a":"1","a":"2"}})", "", "__metadata__: a key comes twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "", "__metadata__ comes twice"},
      {R"({"__metadata__":[]})", "", "header: "},
      {"{}{}", "", "something follows"},
      {"[]", "", "not a JSON object"},
      {" {}", "", "not a JSON object"},
      {"", "", "not a JSON object"},
      {"{", "", "header: "},
      {"{\"a\":" + std::string(100'000, '['), "", "header: "},
      {"{\"a\":" + std::string(100'000, '{'), "", "header: "},
      {"{\"a\xff\":" + f4 + "}", "1234", "header: "},
  };
  for (const auto& c : cases) {
    INFO(c.header.substr(0, 200));
    const std::string path = folder.file("f.safetensors", file_with(c.header, c.data));
    check_input_error_with([&] { SafetensorsFile file(path); }, c.message);
    CHECK(error_of([&] { SafetensorsFile file(path); }).value().message.starts_with(path + ": "));
  }
}

TEST_CASE("lengths past the end, cut and empty files are input errors") {
  const TemporaryFolder folder;
  const std::string whole = file_with("{\"a\":" + tensor("F32", "[2]", "[0,8]") + "}", "12345678");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string path = folder.file("f", whole.substr(0, size));
    const auto caught = error_of([&] { SafetensorsFile file(path); });
    REQUIRE(caught);
    CHECK(caught->kind == ErrorKind::input);
  }
  for (const std::string length :
       {"\xff\xff\xff\xff\xff\xff\xff\xff", "\xff\xff\xff\xff\xff\xff\xff\x7f",
        "\x01\xe1\xf5\x05\x01\x01\x01\x01"}) {
    const std::string path = folder.file("f", length + "{}");
    check_input_error_with([&] { SafetensorsFile file(path); }, "a header of ");
  }
  const std::string missing = folder / "missing";
  check_input_error([&] { SafetensorsFile file(missing); },
                    missing + ": No such file or directory");
}

TEST_CASE("the writer refuses a wrong order or size as a defect, and leaves nothing") {
  const TemporaryFolder folder;
  const std::string path = folder.file("m", "old");
  const auto internal = [&](const std::function<void(SafetensorsWriter&)>& f) {
    const auto caught = error_of([&] {
      SafetensorsWriter writer(path);
      writer.declare("a", DType::u8, {2});
      writer.declare("b", DType::u8, {2});
      f(writer);
    });
    REQUIRE(caught);
    CHECK(caught->kind == ErrorKind::internal);
  };
  internal([](auto& w) { w.write("b", as_bytes("12")); });
  internal([](auto& w) { w.write("c", as_bytes("12")); });
  internal([](auto& w) { w.write("c", {}); });
  internal([](auto& w) { w.write("a", as_bytes("123")); });
  internal([](auto& w) { w.write("a", as_bytes("12")), w.write("a", as_bytes("1")); });
  internal([](auto& w) { w.commit(); });
  internal([](auto& w) { w.write("a", as_bytes("12")), w.commit(); });
  internal([](auto& w) { w.declare("a", DType::u8, {}); });
  internal([](auto& w) { w.declare("c", DType::u8, {-1}); });
  internal([](auto& w) { w.declare("c", DType::f64, {INT64_MAX, 2}); });
  internal([](auto& w) { w.write("a", as_bytes("1")), w.declare("c", DType::u8, {}); });
  CHECK(slurp(path) == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);

  const auto caught = error_of([&] { SafetensorsWriter writer(path, false); });
  REQUIRE(caught);
  CHECK(caught->kind == ErrorKind::output);
}

TEST_CASE("many tensors are written and read in reasonable time") {
  const TemporaryFolder folder;
  constexpr int count = 20'000;
  SafetensorsWriter writer(folder / "m");
  for (int i = 0; i < count; ++i) writer.declare(std::to_string(i), DType::u8, {1});
  for (int i = 0; i < count; ++i) writer.write(std::to_string(i), as_bytes("x"));
  writer.commit();
  CHECK(SafetensorsFile(folder / "m").tensors().size() == count);
}
