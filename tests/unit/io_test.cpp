// SPDX-License-Identifier: MIT
#include <sys/resource.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include <cstring>
#include <thread>

#include "blt/io/documents.h"
#include "blt/io/source.h"
#include "io_fixtures.h"

using namespace blt;
using namespace blt::io;
using namespace blt::test;
using Texts = std::vector<std::string>;

namespace {

std::string gzip(const std::string& text) {
  std::string out(text.size() + 1000, '\0');
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text, bool checksum = true, int window_log = 0) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum ? 1 : 0);
  // As a pipe is packed: neither the size nor a single segment, so the window counts.
  if (window_log > 0) {
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
    ZSTD_inBuffer in{text.data(), text.size(), 0};
    ZSTD_outBuffer packed{out.data(), out.size(), 0};
    ZSTD_compressStream2(context, &packed, &in, ZSTD_e_flush);
    REQUIRE(ZSTD_compressStream2(context, &packed, &in, ZSTD_e_end) == 0);
    out.resize(packed.pos);
  } else {
    out.resize(ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size()));
  }
  ZSTD_freeCCtx(context);
  return out;
}

std::string skippable(const std::string& content) {
  std::string out("\x53\x2a\x4d\x18", 4);
  for (int i = 0; i < 4; ++i) out += static_cast<char>(content.size() >> (8 * i));
  return out + content;
}

// Text that neither compresses to nothing nor fits one window of any reader.
std::string noise(std::size_t size) {
  std::string out;
  std::uint32_t state = 1;
  while (out.size() < size) {
    state = state * 1664525 + 1013904223;
    out += static_cast<char>('a' + (state >> 24) % 26);
    if ((state >> 16) % 40 == 0) out += '\n';
  }
  return out;
}

std::string read_all(const std::string& path, std::size_t piece = 1 << 16) {
  const auto source = open_source(path);
  std::string out;
  std::string buffer(piece, '\0');
  for (;;) {
    const std::size_t got = source->read(std::as_writable_bytes(std::span(buffer)));
    if (got == 0) return out;
    out.append(buffer, 0, got);
  }
}

std::vector<Document> documents_of(const std::vector<std::string>& inputs,
                                   const DocumentOptions& options = {}) {
  DocumentReader reader(inputs, options);
  std::vector<Document> out;
  Document document;
  while (reader.next(document)) out.push_back(document);
  CHECK(reader.counts().documents == out.size());
  return out;
}

Texts texts_of(const std::vector<Document>& documents) {
  Texts out;
  for (const auto& document : documents) out.push_back(document.text);
  return out;
}

Texts ids_of(const std::vector<Document>& documents) {
  Texts out;
  for (const auto& document : documents) out.push_back(document.id);
  return out;
}

DocumentOptions with_format(const char* format, bool split_lines = false) {
  DocumentOptions options;
  options.format = format;
  options.split_lines = split_lines;
  return options;
}

// The single text of a JSON line.
std::string text_of(const TemporaryFolder& folder, const std::string& line) {
  const auto documents = documents_of({folder.file("one.jsonl", line)});
  REQUIRE(documents.size() == 1);
  return documents[0].text;
}

}  // namespace

TEST_CASE("sources read plain, gzip and zstd streams of any make-up") {
  const TemporaryFolder folder;
  const std::string text = noise(700'000);
  const std::string half = text.substr(0, 300'001), rest = text.substr(300'001);
  const auto same = [&](const std::string& content) {
    const std::string path = folder.file("f", content);
    CHECK(read_all(path) == text);
    CHECK(read_all(path, 1'000'000) == text);
    CHECK(read_all(path, 777) == text);
  };
  same(text);
  same(gzip(text));
  same(gzip(half) + gzip(rest));
  same(gzip(half) + gzip("") + gzip(rest) + std::string(1000, '\0'));  // padding, as tapes have it
  same(zstd(text));
  same(zstd(text, false));
  same(zstd(half) + zstd(rest));
  same(skippable("note") + zstd(half) + skippable("") + zstd("") + zstd(rest) +
       skippable(noise(9000)));
  same(zstd(text, true, 27));
  same(zstd(text, true, 31));  // zstd --long=31
}

TEST_CASE("short and empty files are plain") {
  const TemporaryFolder folder;
  for (const std::string text : {"", "\x1f", "\x1f\x8b", "\x28\xb5\x2f", "P*M"}) {
    CHECK(read_all(folder.file("f", text)) == text);
  }
  CHECK(read_all(folder.file("f", gzip(""))).empty());
  CHECK(read_all(folder.file("f", zstd(""))).empty());
}

TEST_CASE("each cut of a compressed stream is an input error that names the file") {
  const TemporaryFolder folder;
  const std::string text = noise(3000);
  const std::string packed_gzip = gzip(text), packed_zstd = zstd(text);
  for (std::size_t size = 4; size < packed_gzip.size(); size += 1 + size / 40) {
    const std::string path = folder.file("f.gz", packed_gzip.substr(0, size));
    check_input_error([&] { read_all(path); }, path + ": the gzip stream is cut off");
  }
  for (std::size_t size = 4; size < packed_zstd.size(); size += 1 + size / 40) {
    const std::string path = folder.file("f.zst", packed_zstd.substr(0, size));
    check_input_error([&] { read_all(path); }, path + ": the zstd stream is cut off");
  }
  // A second frame or member that is cut.
  const std::string path = folder.file("g", packed_zstd + packed_zstd.substr(0, 2));
  check_input_error([&] { read_all(path); }, path + ": the zstd stream is cut off");
}

TEST_CASE("damage and strange bytes in a compressed stream are input errors") {
  const TemporaryFolder folder;
  const std::string text = noise(3000);
  std::string bad = gzip(text);
  bad[bad.size() - 6] ^= 1;  // CRC
  std::string path = folder.file("f", bad);
  check_input_error([&] { read_all(path); },
                    path + ": the gzip stream is damaged (incorrect data check)");
  bad = zstd(text);
  bad.back() ^= 1;
  path = folder.file("f", bad);
  check_input_error_with([&] { read_all(path); }, path + ": the zstd stream is damaged (");
  path = folder.file("f", gzip(text) + "more");
  check_input_error([&] { read_all(path); }, path + ": other bytes follow the gzip stream");
  path = folder.file("f", zstd(text) + "more of it");
  check_input_error([&] { read_all(path); }, path + ": other bytes follow the zstd stream");
}

TEST_CASE("a path that cannot be read is an input error") {
  const TemporaryFolder folder;
  const std::string missing = folder / "missing";
  check_input_error([&] { open_source(missing); }, missing + ": No such file or directory");
  check_input_error([&] { open_source(folder.path.string()); },
                    folder.path.string() + ": Is a directory");
  check_input_error([&] { expand_inputs({missing}); }, missing + ": No such file or directory");
  check_input_error([&] { source_size(missing); }, missing + ": No such file or directory");
}

TEST_CASE("position tells compressed bytes") {
  const TemporaryFolder folder;
  const std::string packed = gzip(noise(100'000));
  const auto source = open_source(folder.file("f", packed));
  std::string buffer(1 << 20, '\0');
  while (source->read(std::as_writable_bytes(std::span(buffer))) > 0) {
  }
  CHECK(source->position() == packed.size());
  CHECK(source_size(folder / "f") == packed.size());
  CHECK(source_size("-") == 0);
}

TEST_CASE("folders are walked in byte order, hidden names left out") {
  const TemporaryFolder folder;
  for (const char* name : {"c/b", "c/a/z", "B", "a", "\xff", ".hidden", "c/.git/x", "c.txt"})
    folder.file(name, "x");
  const std::string root = folder.path.string();
  const Texts expected{root + "/B",   root + "/a",     root + "/c/a/z",
                       root + "/c/b", root + "/c.txt", root + "/\xff"};
  CHECK(expand_inputs({root}) == expected);
  CHECK(expand_inputs({root + "/"}) == expected);
  CHECK(expand_inputs({"-", root + "/c/.git/x"}) == Texts{"-", root + "/c/.git/x"});
  const std::string empty = root + "/empty/.only-hidden";
  folder.file("empty/.only-hidden", "");
  check_input_error([&] { expand_inputs({root + "/empty"}); },
                    root + "/empty: no files in this folder");
  std::filesystem::create_symlink("..", folder.path / "c" / "up");
  check_input_error([&] { expand_inputs({root}); },
                    root + "/c/up: a link leads back to a folder above it");
}

TEST_CASE("a named pipe is read like standard input") {
  const TemporaryFolder folder;
  const std::string path = folder / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  const std::string text = noise(200'000);
  std::thread writer([&] { std::ofstream(path, std::ios::binary) << gzip(text); });
  const auto documents = documents_of({path});
  writer.join();
  REQUIRE(documents.size() == 1);
  CHECK(documents[0].text == text);
}

TEST_CASE("JSON lines: text, content, chosen fields, names and groups") {
  const TemporaryFolder folder;
  const std::string path =
      folder.file("c.jsonl",
                  "\xef\xbb\xbf{\"text\": \"one\", \"id\": \"a\"}\n"
                  "\n"
                  "{\"content\":\"two\",\"n\":[1,{\"x\":null}],\"lang\":\"de\"}\r\n"
                  "  \t\r\n"
                  "{\"content\":\"no\",\"id\":17,\"text\":\"three\",\"sample_id\":\"\"}\n"
                  "{\"text\":\"\",\"url\":\"http://x\",\"title\":\"T\",\"qid\":5}\n"
                  "{\"text\":\"five\",\"sample_id\":-1.50e2,\"id\":\"no\"}\n"
                  "{\"text\":\"six\",\"id\":null,\"path\":\"p\"}");
  const auto documents = documents_of({path});
  CHECK(texts_of(documents) == Texts{"one", "two", "three", "", "five", "six"});
  CHECK(ids_of(documents) == Texts{"a", path + ":3", "17", "T", "-1.50e2", "p"});

  DocumentOptions options;
  options.field = "id";
  options.group_field = "text";
  options.on_error = "skip";
  const auto other = documents_of({path}, options);
  CHECK(texts_of(other) == Texts{"a", "no"});
  CHECK(other[0].group == "one");
  CHECK(other[0].id == "a");
}

TEST_CASE("JSON strings may hold any escape, and come back as the bytes they mean") {
  const TemporaryFolder folder;
  CHECK(text_of(folder, R"({"text":"a\u00e4\ud83d\ude00\n\t\"\\\/\b\f\r\u0000z"})") ==
        std::string("a\xc3\xa4\xf0\x9f\x98\x80\n\t\"\\/\b\f\r\0z", 17));
  CHECK(text_of(folder, "{\"text\":\"\xc3\xa4\xed\x9f\xbf\"}") == "\xc3\xa4\xed\x9f\xbf");
  CHECK(text_of(folder, R"({"te\u0078t":"key"})") == "key");
  CHECK(text_of(folder, R"({"text":"first","text":"last"})") == "last");
}

TEST_CASE("a line that is no record is an input error with file, line and reason") {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::string>> cases{
      {"{\"text\": \"a", "not valid JSON: a string is not closed"},
      {"{\"text\": \"a\"", "not valid JSON"},
      {"{\"text\": \"a\"}}", "not valid JSON: something follows the object"},
      {"{\"text\": \"a\"} {\"text\": \"b\"}", "not valid JSON: something follows the object"},
      {"{\"text\": \"a\" \"b\": 1}", "not valid JSON"},
      {"{\"text\": \"a\", \"b\": tru}", "not valid JSON"},
      {"{\"text\": \"a\", \"b\": [1 2]}", "not valid JSON"},
      {"{\"text\": \"a\", \"b\": {\"c\": 01}}", "not valid JSON: a malformed number"},
      {"{\"text\": \"a\", \"b\": \"\\x\"}", "not valid JSON: a string with a bad escape"},
      {"{\"text\": \"\\ud83d\"}", "not valid JSON: a string with a bad escape"},
      {"{\"text\": \"\\ude00\"}", "not valid JSON: a string with a bad escape"},
      {"{\"text\": \"\\ud83d\\u0041\"}", "not valid JSON: a string with a bad escape"},
      {"{\"text\": \"a\xff\"}", "not valid JSON: invalid UTF-8"},
      {"{\"text\": \"a\tb\"}", "not valid JSON: a control character in a string"},
      {"{\"text\": \"a\", }", "not valid JSON"},
      {"{\"text\": 7}", "field \"text\" is not a string"},
      {"{\"text\": null, \"content\": \"x\"}", "field \"text\" is not a string"},
      {"{\"body\": \"a\"}", "no field \"text\" or \"content\""},
      {"[\"text\"]", "not a JSON object"},
      {"\"text\"", "not a JSON object"},
      {"plain text", "not valid JSON"},
      {"{\"text\":\"a\",\"b\":" + std::string(600, '[') + std::string(600, ']') + "}",
       "nested too deeply"},
      {"{\"text\":\"a\",\"b\":" + std::string(100000, '['), "not valid JSON"},
  };
  for (const auto& [line, reason] : cases) {
    INFO(line.substr(0, 80));
    const std::string path =
        folder.file("c.jsonl", "{\"text\":\"ok\"}\n" + line + "\n{\"text\":\"end\"}\n");
    check_input_error([&] { documents_of({path}); }, cat(path, ":2: ", reason));

    DocumentOptions options;
    options.on_error = "skip";
    DocumentReader reader({path}, options);
    Document document;
    Texts texts;
    while (reader.next(document)) texts.push_back(document.text);
    CHECK(texts == Texts{"ok", "end"});
    CHECK(reader.counts().skipped == 1);
    CHECK(reader.skipped() == Texts{cat(path, ":2: ", reason)});
  }
  DocumentOptions options;
  options.field = "body";
  const std::string path = folder.file("c.jsonl", "{\"text\":\"a\"}");
  check_input_error([&] { documents_of({path}, options); }, path + ":1: no field \"body\"");
}

TEST_CASE("the messages of skipped records are told up to a hundred, their count in full") {
  const TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 150; ++i) lines += "x\n";
  DocumentOptions options = with_format("jsonl");
  options.on_error = "skip";
  DocumentReader reader({folder.file("c", lines)}, options);
  Document document;
  CHECK_FALSE(reader.next(document));
  CHECK(reader.counts().skipped == 150);
  CHECK(reader.skipped().size() == 100);
}

TEST_CASE("text is any bytes, a document a file or a line") {
  const TemporaryFolder folder;
  const std::string bytes("\xef\xbb\xbf\xff\xfe\0 x\r\n\n\xc3last", 16);
  const std::string path = folder.file("t.txt", bytes);
  auto documents = documents_of({path});
  CHECK(texts_of(documents) == Texts{bytes});
  CHECK(ids_of(documents) == Texts{path});
  documents = documents_of({path}, with_format("auto", true));
  CHECK(texts_of(documents) == Texts{bytes.substr(0, 9), "\xc3last"});
  CHECK(ids_of(documents) == Texts{path + ":1", path + ":3"});
  CHECK(texts_of(documents_of({path}, with_format("binary", true))) == Texts{bytes});
  const std::string big = noise(3'000'000);
  CHECK(texts_of(documents_of({folder.file("big", zstd(big))})) == Texts{big});
}

TEST_CASE("auto goes by the name") {
  const TemporaryFolder folder;
  const std::string line = "{\"text\":\"a\"}\n";
  for (const char* name :
       {"c.jsonl", "c.ndjson", "c.json", "C.JSONL", "c.jsonl.gz", "c.jsonl.zst"}) {
    CHECK(texts_of(documents_of({folder.file(name, line)})) == Texts{"a"});
  }
  CHECK(texts_of(documents_of({folder.file("c.jsonl.gz", gzip(line))})) == Texts{"a"});
  CHECK(texts_of(documents_of({folder.file("c.txt", line)})) == Texts{line});
  CHECK(texts_of(documents_of({folder.file("c.jsonl", line)}, with_format("text"))) == Texts{line});
}

TEST_CASE("empty files hold no documents") {
  const TemporaryFolder folder;
  const std::vector<std::string> inputs{folder.file("a.jsonl", ""), folder.file("b.txt", ""),
                                        folder.file("c.jsonl", "\n \n"),
                                        folder.file("d.gz", gzip(""))};
  CHECK(documents_of(inputs).empty());
  CHECK(documents_of(inputs, with_format("auto", true)).empty());
  CHECK(documents_of({}).empty());
}

TEST_CASE("many files are read in order, with progress") {
  const TemporaryFolder folder;
  const std::string lines = noise(50'000);
  folder.file("a.txt", lines);
  folder.file("b.jsonl", "{\"text\":\"b1\"}\n{\"text\":\"b2\"}\n");
  DocumentReader reader({folder.path.string()}, {});
  CHECK(reader.files().size() == 2);
  CHECK(reader.bytes_total() == lines.size() + 28);
  Document document;
  std::uint64_t before = 0;
  while (reader.next(document)) {
    CHECK(reader.bytes_read() >= before);
    before = reader.bytes_read();
  }
  CHECK(reader.bytes_read() == reader.bytes_total());
  CHECK(reader.counts().bytes == lines.size() + 4);
  CHECK_FALSE(reader.next(document));
}

TEST_CASE("documents over the limit are refused, neighbours kept") {
  const TemporaryFolder folder;
  const std::string x = std::string(2'000'000, 'x');
  DocumentOptions options;
  options.max_document_bytes = 1000;
  const std::string path =
      folder.file("c.jsonl", "{\"text\":\"a\"}\n{\"text\":\"" + x + "\"}\n{\"text\":\"b\"}\n");
  check_input_error([&] { documents_of({path}, options); },
                    path + ":2: the line is longer than 1000 bytes");
  const std::string text = folder.file("d.txt", x);
  check_input_error([&] { documents_of({text}, options); },
                    text + ": the document is longer than 1000 bytes");
  options.on_error = "skip";
  CHECK(texts_of(documents_of({text, path}, options)) == Texts{"a", "b"});
  options.split_lines = true;
  CHECK(texts_of(documents_of({folder.file("e.txt", "a\n" + x + "\n" + std::string(1000, 'y'))},
                              options)) == Texts{"a", std::string(1000, 'y')});
}

TEST_CASE("an endless line takes no more memory than the limit") {
  const TemporaryFolder folder;
  // 512 MiB of blanks in a few kilobytes of zstd.
  const std::string path = folder / "bomb.jsonl.zst";
  {
    std::ofstream file(path, std::ios::binary);
    const std::string frame = zstd(std::string(64 << 20, ' '));
    for (int i = 0; i < 8; ++i) file << frame;
  }
  DocumentOptions options;
  options.max_document_bytes = 1 << 20;
  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  check_input_error([&] { documents_of({path}, options); },
                    path + ":1: the line is longer than 1048576 bytes");
  options.format = "text";
  check_input_error([&] { documents_of({path}, options); },
                    path + ": the document is longer than 1048576 bytes");
  ::getrusage(RUSAGE_SELF, &after);
  CHECK(after.ru_maxrss - before.ru_maxrss < 32 << 10);  // KiB
}

TEST_CASE("wrong options are usage errors") {
  const auto kind_of = [](const DocumentOptions& options) {
    return error_of([&] { DocumentReader reader({}, options); }).value().kind;
  };
  DocumentOptions options;
  options.format = "xml";
  CHECK(kind_of(options) == ErrorKind::usage);
  options = {};
  options.on_error = "ignore";
  CHECK(kind_of(options) == ErrorKind::usage);
  options = {};
  options.max_document_bytes = 0;
  CHECK(kind_of(options) == ErrorKind::usage);
}

TEST_CASE("the held-out share is stable and about the fraction asked for") {
  int count = 0;
  for (int i = 0; i < 20'000; ++i) count += held_out(cat("document ", i), 0.1) ? 1 : 0;
  CHECK(count > 1850);
  CHECK(count < 2150);
  CHECK_FALSE(held_out("a", 0));
  // Values fixed once and for all: a split must not change between versions.
  std::string bits;
  for (const char* id : {"perlfunc", "perlre", "perlop", "perlvar", "a", "b", "c", ""}) {
    bits += held_out(id, 0.5) ? '1' : '0';
  }
  CHECK(bits == "00100101");
}
