// SPDX-License-Identifier: MIT
// Files of torch.save: what is written reads back; what could do harm is refused.
#include "blt/io/torch_file.h"

#include <cstring>
#include <fstream>
#include <functional>

#include "blt/base/error.h"
#include "io_fixtures.h"

using namespace blt;
using namespace blt::io;
using namespace blt::test;

namespace {

template <class T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
}

struct Entry {
  std::string name, data;
  std::uint16_t method = 0, flags = 0;
  std::uint32_t size = 0;                  // told instead of data.size() when set
  std::uint32_t header = 0xffffffff;       // offset told instead of the true one when set
  std::string local_name = {};
};

std::string zip(const std::vector<Entry>& entries) {
  std::string out, directory;
  for (const Entry& e : entries) {
    const std::uint32_t at = e.header != 0xffffffff ? e.header : static_cast<std::uint32_t>(out.size());
    const std::uint32_t size = e.size ? e.size : static_cast<std::uint32_t>(e.data.size());
    const std::string local = e.local_name.empty() ? e.name : e.local_name;
    const auto common = [&](std::string& to) {
      put<std::uint16_t>(to, 20);
      put(to, e.flags);
      put(to, e.method);
      put<std::uint32_t>(to, 0);
      put<std::uint32_t>(to, 0);
      put(to, static_cast<std::uint32_t>(e.data.size()));
      put(to, size);
    };
    put<std::uint32_t>(out, 0x04034b50);
    common(out);
    put(out, static_cast<std::uint16_t>(local.size()));
    put<std::uint16_t>(out, 0);
    out += local + e.data;
    put<std::uint32_t>(directory, 0x02014b50);
    put<std::uint16_t>(directory, 20);
    common(directory);
    put(directory, static_cast<std::uint16_t>(e.name.size()));
    directory.append(12, '\0');
    put(directory, at);
    directory += e.name;
  }
  const auto begin = static_cast<std::uint32_t>(out.size()), size = static_cast<std::uint32_t>(directory.size());
  out += directory;
  put<std::uint32_t>(out, 0x06054b50);
  put<std::uint32_t>(out, 0);
  for (int i = 0; i < 2; ++i) put(out, static_cast<std::uint16_t>(entries.size()));
  put(out, size);
  put(out, begin);
  put<std::uint16_t>(out, 0);
  return out;
}

std::string text(const std::string& value) {
  std::string out = "X";
  put(out, static_cast<std::uint32_t>(value.size()));
  return out + value;
}

// {name: tensor of `numbers` floats in a storage of key "0"}; offset, shape and stride as told.
std::string tensor_pickle(int numbers, int offset, const std::string& shape, const std::string& stride) {
  std::string out("\x80\x02}", 3);
  out += text("w") + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "J";
  put(out, static_cast<std::uint32_t>(numbers));
  out += "tQJ";
  put(out, static_cast<std::uint32_t>(offset));
  return out + shape + stride + "\x89" + "ccollections\nOrderedDict\n)RtRs.";
}
std::string pair(int a, int b) {
  std::string out = "(J";
  put(out, static_cast<std::uint32_t>(a));
  out += "J";
  put(out, static_cast<std::uint32_t>(b));
  return out + "t";
}

const std::string sixteen_floats(64, '\x3f');

std::vector<Entry> archive(const std::string& pickle) {
  return {{"archive/data.pkl", pickle}, {"archive/byteorder", "little"}, {"archive/data/0", sixteen_floats}, {"archive/version", "3\n"}};
}

void refuse(const std::vector<Entry>& entries, const std::string& part) {
  const TemporaryFolder folder;
  write_file(folder / "x.pth", zip(entries));
  INFO(part);
  try {
    const TorchFile file(folder / "x.pth");
    FAIL("was read");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::input);
    CHECK_THAT(error.what(), Catch::Contains(part));
  }
}
void refuse_pickle(const std::string& pickle, const std::string& part) { refuse(archive(pickle), part); }

}  // namespace

TEST_CASE("what a TorchWriter writes reads back") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.pth";
  TorchWriter writer(path, "model");
  writer.declare("layers.0.weight", DType::f32, {2, 3});
  writer.declare("empty", DType::bf16, {0, 4});
  writer.declare("scalar", DType::f16, {});
  writer.declare("last", DType::bf16, {5});
  const std::string data(24, '\x11'), half(2, '\x22'), last(10, '\x33');
  writer.write("layers.0.weight", as_bytes(data).subspan(0, 7));
  writer.write("layers.0.weight", as_bytes(data).subspan(7));
  writer.write("scalar", as_bytes(half));
  writer.write("last", as_bytes(last));
  writer.commit();
  const TorchFile file(path);
  REQUIRE(file.tensors().size() == 4);
  const auto& weight = file.tensors().at("model/layers.0.weight");
  CHECK(weight.dtype == DType::f32);
  CHECK(weight.shape == std::vector<std::int64_t>{2, 3});
  CHECK(std::memcmp(weight.data.data(), data.data(), 24) == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(weight.data.data()) % 64 == 0);
  CHECK(file.tensors().at("model/empty").data.empty());
  CHECK(file.tensors().at("model/scalar").data.size() == 2);
  CHECK(std::memcmp(file.tensors().at("model/last").data.data(), last.data(), 10) == 0);
}

TEST_CASE("a writer tells what was not written") {
  const TemporaryFolder folder;
  TorchWriter writer(folder / "a.pth", "model");
  writer.declare("a", DType::f32, {2});
  writer.declare("b", DType::f32, {2});
  writer.write("a", as_bytes("1234"));
  CHECK_THROWS_AS(writer.write("b", as_bytes("12345678")), Error);
}

TEST_CASE("a hand-made file of torch.save") {
  const TemporaryFolder folder;
  write_file(folder / "x.pth", zip(archive(tensor_pickle(16, 4, pair(2, 3), pair(3, 1)))));
  const TorchFile file(folder / "x.pth");
  const auto& view = file.tensors().at("w");
  CHECK(view.shape == std::vector<std::int64_t>{2, 3});
  CHECK(view.data.size() == 24);
}

TEST_CASE("a pickle that names a function is refused, and nothing is executed") {
  refuse_pickle(std::string("\x80\x02", 2) + "cos\nsystem\n(" + text("touch /tmp/blt-pickle-ran") + "tR.", "refused, it names os.system");
  refuse_pickle(std::string("\x80\x04", 2) + "\x8c\x05posix\x8c\x06system\x93" + text("id") + "\x85R.", "refused, it names posix.system");
  refuse_pickle(std::string("\x80\x02", 2) + "cbuiltins\neval\n(" + text("1") + "tR.", "builtins.eval");
  refuse_pickle(std::string("\x80\x02", 2) + "ctorch\nFloatStorage\n)R.", "no function");
  refuse_pickle(std::string("\x80\x02", 2) + "(S'x'\ni__main__\nX\n.", "refused, an opcode");
  CHECK_FALSE(std::ifstream("/tmp/blt-pickle-ran").good());
}

TEST_CASE("broken pickles are refused") {
  refuse_pickle("", "cut off");
  refuse_pickle(std::string("\x80\x09.", 3), "protocol 9");
  refuse_pickle(std::string("\x80\x02}", 3), "cut off");
  refuse_pickle(std::string("\x80\x02.", 3), "empty stack");
  refuse_pickle(std::string("\x80\x02}X\xff\xff\xff\xff.", 9), "longer than the file");
  refuse_pickle(std::string("\x80\x02]h\x07.", 5), "reference to nothing");
  refuse_pickle(std::string("\x80\x02].", 4), "no dict of tensors");
  refuse_pickle(std::string("\x80\x02}}.", 5), "left over");
  refuse_pickle(tensor_pickle(16, 0, pair(5, 4), pair(4, 1)), "does not lie in its storage");
  refuse_pickle(tensor_pickle(16, 14, pair(2, 3), pair(3, 1)), "does not lie in its storage");
  refuse_pickle(tensor_pickle(16, 0, pair(2, 3), pair(1, 2)), "not contiguous");
  refuse_pickle(tensor_pickle(16, 0, pair(1 << 30, 1 << 30), pair(0, 0)), "not contiguous");
  refuse_pickle(tensor_pickle(16, 0, pair(1 << 30, 1 << 30), pair(1 << 30, 1)), "does not lie in its storage");
  // A dict that holds itself, and dicts that double with every level.
  refuse_pickle(std::string("\x80\x02}q\x00", 5) + text("a") + std::string("h\x00s.", 4), "nested too deeply");
  std::string doubling = std::string("\x80\x02}", 3) + text("k") + std::string("}q\x00s", 4);
  for (char level = 0; level < 30; ++level) {
    doubling += text(cat("k", static_cast<int>(level))) + "}q" + static_cast<char>(level + 1);
    for (const char* key : {"a", "b"}) doubling += text(key) + "h" + level + "s";
    doubling += "s";
  }
  refuse_pickle(doubling + ".", "nested too deeply or too often");
}

TEST_CASE("archives that could do harm are refused") {
  const std::string good = tensor_pickle(16, 0, pair(4, 4), pair(4, 1));
  const auto with = [&](const std::function<void(std::vector<Entry>&)>& change) {
    auto entries = archive(good);
    change(entries);
    return entries;
  };
  refuse(with([](auto& e) { e[2].method = 8; }), "is compressed");                       // a zip bomb needs this
  refuse(with([](auto& e) { e[2].size = 0x7fffffff; }), "is compressed");
  refuse(with([](auto& e) { e[2].flags = 1; }), "is encrypted");
  refuse(with([](auto& e) { e[3].name = "archive/data/1"; e[3].local_name = "archive/data/0"; e[3].header = 0; }), "another name");
  refuse(with([](auto& e) { e.push_back(e[2]); e.back().header = 0; e.back().name = e[0].name; e.back().data = e[0].data; }), "overlaps");
  refuse(with([](auto& e) { e[3].name = "../../etc/passwd"; }), "leads out of the archive");
  refuse(with([](auto& e) { e[3].name = "/etc/passwd"; }), "leads out of the archive");
  refuse(with([](auto& e) { e[3].name = "archive\\..\\x"; }), "leads out of the archive");
  refuse(with([](auto& e) { e[1].data = "big"; }), "not little-endian");
  refuse(with([](auto& e) { e.erase(e.begin()); }), "no data.pkl");
  refuse(with([](auto& e) { e.push_back({"other/data.pkl", e[0].data}); }), "more than one data.pkl");
  refuse(with([](auto& e) { e.erase(e.begin() + 2); }), "its data is missing");
}

TEST_CASE("files that are no archives are refused") {
  const TemporaryFolder folder;
  for (const std::string& bytes : {std::string(), std::string("P"), std::string("PK\x03\x04"), std::string("\x80\x02\x8a\x0al\xfc\x9c"), std::string(5000, 'x')}) {
    write_file(folder / "x.pth", bytes);
    CHECK_THROWS_AS(TorchFile(folder / "x.pth"), Error);
  }
  const std::string whole = zip(archive(tensor_pickle(16, 0, pair(4, 4), pair(4, 1))));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_file(folder / "x.pth", whole.substr(0, size));
    CHECK_THROWS_AS(TorchFile(folder / "x.pth"), Error);
  }
}
