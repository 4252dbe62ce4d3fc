// SPDX-License-Identifier: MIT
// Files read in pieces, unreadable files, and files that change.
#include <filesystem>

#include "blt/base/random.h"
#include "blt/io/documents.h"
#include "blt/io/pieces.h"
#include "io_fixtures.h"

using namespace blt;
using namespace blt::io;
using namespace blt::test;
namespace fs = std::filesystem;

namespace {

using Texts = std::vector<std::string>;

DocumentOptions lines_of_text() {
  DocumentOptions options;
  options.split_lines = true;
  return options;
}

// "id text" of each document.
Texts read(DocumentReader& reader) {
  Texts out;
  for (Document document; reader.next(document);) out.push_back(document.id + " " + document.text);
  return out;
}

std::vector<FilePiece> pieces_of(const std::string& path, std::uint64_t bytes,
                                 const DocumentOptions& options) {
  const std::uint64_t size = fs::file_size(path);
  std::vector<FilePiece> pieces{{path, 0, size, size}};
  for (const std::uint64_t cut : line_cuts(path, size, bytes, options)) {
    CHECK(cut > pieces.back().begin);
    CHECK(cut < size);
    pieces.back().end = cut;
    pieces.push_back({path, cut, size, size});
  }
  return pieces;
}

Texts read_pieces(const std::vector<FilePiece>& pieces, const DocumentOptions& options,
                  LineCounter& lines) {
  Texts out;
  for (const auto& piece : pieces) {
    DocumentReader reader({piece}, options, lines);
    for (auto& text : read(reader)) out.push_back(std::move(text));
  }
  return out;
}

// Lines of 0 to 9000 bytes, some of them empty.
std::string random_lines(std::uint64_t seed, int count) {
  Random random(seed);
  std::string text;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t size = random.below(4) ? random.below(60) : random.below(9000);
    text += std::string(random.below(5) ? size : 0, static_cast<char>('a' + random.below(26))) + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("the pieces of a file hold its documents, with the same ids in any order of reading") {
  const TemporaryFolder folder;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::string text = random_lines(seed, 300);
    if (seed % 2) text.pop_back();  // no newline at the end
    const std::string path = folder.file("t.txt", text);
    DocumentReader whole({path}, lines_of_text());
    const Texts expected = read(whole);
    for (const std::uint64_t bytes : {1u, 100u, 5000u, 50000u, 10000000u}) {
      const auto pieces = pieces_of(path, bytes, lines_of_text());
      CHECK((pieces.size() > 1) == (bytes < text.size()));
      LineCounter lines;
      CHECK(read_pieces(pieces, lines_of_text(), lines) == expected);
      // As one of three processes, then the others.
      Texts apart(0);
      std::vector<Texts> parts(pieces.size());
      for (std::size_t rank = 3; rank-- > 0;) {
        LineCounter own;
        for (std::size_t i = rank; i < pieces.size(); i += 3)
          parts[i] = read_pieces({pieces[i]}, lines_of_text(), own);
      }
      for (const auto& part : parts) apart.insert(apart.end(), part.begin(), part.end());
      CHECK(apart == expected);
    }
  }
}

TEST_CASE("pieces of JSON lines: ids, errors and the byte order mark know their place") {
  const TemporaryFolder folder;
  std::string text = "\xef\xbb\xbf";
  for (int i = 0; i < 200; ++i)
    text += i % 3 ? "{\"text\": \"t\"}\n" : cat("{\"id\": \"i", i, "\", \"text\": \"u\"}\n");
  const std::string path = folder.file("c.jsonl", text);
  DocumentReader whole({path}, {});
  const Texts expected = read(whole);
  const auto pieces = pieces_of(path, 500, {});
  REQUIRE(pieces.size() > 5);
  LineCounter lines;
  CHECK(read_pieces(pieces, {}, lines) == expected);

  const std::string bad = folder.file("bad.jsonl", text + "\xef\xbb\xbf{\"text\": \"t\"}\n");
  const auto last = pieces_of(bad, 500, {}).back();
  DocumentReader reader({last}, {}, lines);
  check_input_error([&] { read(reader); }, bad + ":201: not valid JSON");
}

TEST_CASE("what has no lines, or is compressed, is not cut") {
  const TemporaryFolder folder;
  const std::string text = random_lines(1, 100);
  CHECK(line_cuts(folder.file("t.txt", text), text.size(), 100, {}).empty());
  DocumentOptions binary;
  binary.format = "binary";
  CHECK(line_cuts(folder.file("b.jsonl", text), text.size(), 100, binary).empty());
  CHECK(line_cuts(folder.file("z.jsonl", "\x28\xb5\x2f\xfd" + text), text.size(), 100, {}).empty());
  CHECK(line_cuts(folder / "missing.jsonl", 1000, 100, {}).empty());
  CHECK(line_cuts(folder.file("long.jsonl", std::string(5000, ' ')), 5000, 100, {}).empty());
  CHECK_FALSE(line_cuts(folder.file("c.jsonl", text), text.size(), 100, {}).empty());
}

TEST_CASE("a file of another size than planned is an error, also with on_error skip") {
  const TemporaryFolder folder;
  const std::string text = random_lines(2, 500);
  const auto message = [&](const std::string& path, std::uint64_t now, std::uint64_t then) {
    return cat(path, ": has ", now, " bytes now, and had ", then, " when the run was planned");
  };
  DocumentOptions options = lines_of_text();
  options.on_error = "skip";
  LineCounter lines;
  const std::string path = folder.file("t.txt", text);
  const FilePiece whole{path, 0, 0, text.size()}, range{path, 0, text.size(), text.size()};
  for (const std::string& other : {text + "more\n", text.substr(0, 900), std::string()}) {
    folder.file("t.txt", other);
    for (const auto& piece : {whole, range}) {
      DocumentReader reader({piece}, options, lines);
      check_input_error([&] { read(reader); }, message(path, other.size(), text.size()));
    }
  }
}

TEST_CASE("a file that shrinks while it is read is an error") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 200000; ++i) text += cat("line ", i, "\n");
  LineCounter lines;
  for (const bool range : {false, true}) {
    const std::string path = folder.file("t.txt", text);
    DocumentReader reader({{path, 0, range ? text.size() : 0, text.size()}}, lines_of_text(), lines);
    Document document;
    REQUIRE(reader.next(document));
    fs::resize_file(path, 1000000);
    check_input_error_with([&] { read(reader); }, path + ": has 1000000 bytes now");
  }
}

TEST_CASE("an unreadable file is an error that names it, or is left out and counted") {
  const TemporaryFolder folder;
  folder.file("a.txt", "first");
  fs::create_symlink("/proc/self/mem", folder / "b.txt");  // opens, but its first bytes cannot be read
  folder.file("c.txt", "last");
  DocumentOptions options;
  DocumentReader strict({folder.path.string()}, options);
  check_input_error([&] { read(strict); }, folder / "b.txt" + ": Input/output error");
  options.on_error = "skip";
  DocumentReader reader({folder.path.string()}, options);
  CHECK(read(reader) == Texts{folder / "a.txt" + " first", folder / "c.txt" + " last"});
  CHECK(reader.counts().skipped == 1);
  CHECK(reader.skipped() == Texts{folder / "b.txt" + ": Input/output error"});
}

TEST_CASE("of a damaged compressed file on_error skip keeps the documents before the damage") {
  const TemporaryFolder folder;
  // Two gzip members: "one\ntwo\n", and one that is cut off.
  const std::string member(
      "\x1f\x8b\x08\0\0\0\0\0\x02\xff\xcb\xcf\x4b\xe5\x2a\x29\xcf\xe7\x02\0\xe6\x0b\xba\x12\x08\0\0\0", 28);
  const std::string path = folder.file("t.txt.gz", member + member.substr(0, 20));
  DocumentOptions options = lines_of_text();
  options.on_error = "skip";
  DocumentReader reader({path, folder.file("u.txt", "after\n")}, options);
  const Texts texts = read(reader);
  REQUIRE(texts.size() >= 3);
  CHECK(texts[0] == path + ":1 one");
  CHECK(texts.back() == folder / "u.txt" + ":1 after");
  CHECK(reader.counts().skipped == 1);
  CHECK(reader.skipped() == Texts{path + ": the gzip stream is cut off"});
}
