// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/json.h"
#include "blt/patch/json_lines.h"
#include "blt/patch/show.h"

using namespace blt;
using namespace blt::patch;
using Lengths = std::vector<std::uint32_t>;

namespace {

CutOptions space_options() {
  CutOptions options;
  options.rules.scheme = Scheme::space;
  return options;
}

std::string message_of(const CutOptions& options, const std::string& line) {
  try {
    LineCutter(options).cut(line);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::input);
    return error.what();
  }
  return "no error";
}

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / cat("blt-json-lines-", ::getpid());
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("the line stays as it is, lengths are put behind") {
  LineCutter cutter(space_options());
  CHECK(cutter.cut(R"({ "x": 1.50, "text": "ab cd" } )") ==
        R"({ "x": 1.50, "text": "ab cd","patch_lengths":[1,3,2]})");
  CHECK(cutter.cut(R"({"tokens":[1,101,36,101]})") ==
        R"({"tokens":[1,101,36,101],"patch_lengths":[1,2,1]})");
  CHECK(cutter.cut(R"({"patch_lengths":[9],"text":"a"})") ==
        R"({"text":"a","patch_lengths":[1,1]})");
  CHECK(cutter.cut(R"({"text":"}"})") == R"({"text":"}","patch_lengths":[1,1]})");
}

TEST_CASE("text takes EOS when there is an entropy for it") {
  CutOptions options;
  options.rules.threshold = 1;
  LineCutter cutter(options);
  CHECK(cutter.cut(R"({"text":"ab","entropies":[0,2,0]})").ends_with("\"patch_lengths\":[1,1,1]}"));
  CHECK(
      cutter.cut(R"({"text":"ab","entropies":[0,2,0,0]})").ends_with("\"patch_lengths\":[1,1,2]}"));
  CHECK(cutter.cut(R"({"bytes_base64":"/2E=","entropies":[0,0,3,0]})")
            .ends_with("\"patch_lengths\":[1,2,1]}"));
  options = space_options();
  options.eos = true;
  CHECK(LineCutter(options).cut(R"({"text":"ab"})").ends_with("\"patch_lengths\":[1,3]}"));
}

TEST_CASE("rows of a batch are filled up with zeros") {
  LineCutter cutter(space_options());
  CHECK(cutter.cut(R"({"tokens":[[1,36,101,36],[1,101,101,101]]})")
            .ends_with("\"patch_lengths\":[[1,3],[1,3]]}"));
  CHECK(cutter.cut(R"({"tokens":[[1,101,36,101],[1,101,101,101]]})")
            .ends_with("\"patch_lengths\":[[1,2,1],[1,3,0]]}"));
  CHECK(cutter.cut(R"({"tokens":[[1]]})").ends_with("\"patch_lengths\":[[1]]}"));
}

TEST_CASE("bad lines are told") {
  const CutOptions space = space_options();
  CHECK(message_of(space, "{").find("invalid JSON") == 0);
  CHECK(message_of(space, "[1]") == "the line is no JSON object");
  CHECK(message_of(space, "{}") == "the record has neither tokens nor text");
  CHECK(message_of(space, R"({"tokens":[1,260]})") == "tokens: item 1 is no id from 0 to 259");
  CHECK(message_of(space, R"({"tokens":[1,-4]})") == "tokens: item 1 is no id from 0 to 259");
  CHECK(message_of(space, R"({"tokens":[1,[2]]})") == "tokens: item 1 is no id from 0 to 259");
  CHECK(message_of(space, R"({"tokens":7})") == "tokens is no list");
  CHECK(message_of(space, R"({"text":7})") == "text is no string");
  CHECK(message_of(space, R"({"bytes_base64":"a"})").find("base64") == 0);
  CHECK(message_of({}, R"({"tokens":[1,5]})").find("no entropies") != std::string::npos);
  CHECK(message_of({}, R"({"tokens":[1,5],"entropies":[1]})") == "1 entropies for 2 tokens");
  CHECK(message_of({}, R"({"tokens":[1,5],"entropies":[1,"x"]})") ==
        "entropies: item 1 is no number");
  CHECK(message_of({}, R"({"tokens":[[1],[1]],"entropies":[[1]]})") ==
        "1 rows of entropies for 2 of tokens");
}

TEST_CASE("files are cut line by line; errors name the line or are skipped") {
  const Folder folder;
  const std::string file = folder.path / "rows.jsonl";
  write_file(file, "{\"text\":\"a b\"}\n\n{\"text\":3}\r\n{\"text\":\"" + std::string(400000, 'x') +
                       " y\"}");
  std::vector<std::string> lines;
  const auto emit = [&](const std::string& line) {
    lines.push_back(line);
    return true;
  };
  NullReporter reporter;
  try {
    cut_lines({file}, space_options(), "fail", emit, reporter);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.what() == file + ":3: text is no string");
  }
  lines.clear();
  const LineCounts counts = cut_lines({file}, space_options(), "skip", emit, reporter);
  CHECK(counts.lines == 2);
  CHECK(counts.skipped == 1);
  REQUIRE(lines.size() == 2);
  CHECK(lines[1].ends_with("\"patch_lengths\":[1,400001,1]}\n"));
}

TEST_CASE("records become JSON lines that restore every byte") {
  std::string every;
  for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
  for (const std::string& text :
       {std::string("\"q\" \\ \n\t\r\x01\x7F \xE2\x82\xAC", 15), every, std::string()}) {
    const shard::Record record{
        "id \"1\"", "en", text, {1, static_cast<std::uint32_t>(text.size() + 1)}, {0.5f, 1.25f}};
    const Json json = Json::parse(to_json_line(record, true));
    CHECK(json.at("id") == "id \"1\"");
    CHECK(json.at("group") == "en");
    CHECK(json.at("patch_lengths").get<Lengths>() == record.patch_lengths);
    CHECK(json.at("entropies") == Json({0.5, 1.25}));
    CHECK(json.contains("text") != json.contains("bytes_base64"));
    CHECK((json.contains("text")
               ? json.at("text").get<std::string>()
               : decode_base64(json.at("bytes_base64").get<std::string>())) == text);
    CHECK_FALSE(Json::parse(to_json_line(record, false)).contains("entropies"));
  }
  CHECK(encode_base64("f") == "Zg==");
  CHECK(encode_base64("foobar") == "Zm9vYmFy");
  CHECK_THROWS_AS(decode_base64("Zm9=Yg=="), Error);
  CHECK_THROWS_AS(decode_base64("Zm9"), Error);
}

TEST_CASE("show: borders, escapes and limits") {
  const shard::Record record{"doc", "", "ab|\xE4\xBD\xA0\x1B\nz", {1, 2, 2, 3, 3}, {}};
  CHECK(show_text(record, {}) ==
        "== doc: 9 bytes, 5 patches, 1.80 bytes a patch ==\nab|\\|\\xe4|\\xbd\\xa0\\x1b|\nz\n");
  CHECK(show_text(record, {.max_bytes = 2}) ==
        "== doc: 9 bytes, 5 patches, 1.80 bytes a patch ==\nab [...]\n");
  const std::string colored = show_text(record, {.color = true});
  CHECK(colored.find("\033[7mab\033[0m\033[4m|\\xe4\033[0m") != std::string::npos);
  const Json json = Json::parse(show_json(record, {}));
  CHECK(json.at("patches") == Json({"", "ab", "|\\xe4", "\\xbd\\xa0\\x1b", "\\nz"}));
  CHECK(json.at("patch_lengths").get<Lengths>() == record.patch_lengths);
}
