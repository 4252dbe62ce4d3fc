// SPDX-License-Identifier: MIT
// Corpus files of any bytes: plain, gzip or zstd; JSON lines and text. Nothing but blt::Error may come out.
#include <zlib.h>
#include <zstd.h>

#include "blt/base/error.h"
#include "blt/io/documents.h"
#include "target.h"

namespace {

void read_all(const std::string& path, const char* format, const char* on_error, bool split_lines) {
  blt::io::DocumentOptions options;
  options.format = format;
  options.on_error = on_error;
  options.split_lines = split_lines;
  options.max_document_bytes = 1 << 20;
  try {
    blt::io::DocumentReader reader({path}, options);
    blt::io::Document document;
    while (reader.next(document)) blt::fuzz::require(document.text.size() <= options.max_document_bytes);
  } catch (const blt::Error& error) {
    blt::fuzz::require(error.kind() == blt::ErrorKind::input);
  }
}

std::string gzip(const std::string& text) {
  std::string out(text.size() + 1000, '\0');
  z_stream stream{};
  if (deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) std::abort();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  blt::fuzz::require(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

}  // namespace

std::vector<std::string> blt::fuzz::seeds() {
  const std::string lines =
      "{\"id\": \"a\", \"text\": \"one \\u00e4 \\ud83d\\ude00\"}\n\n{\"content\": \"two\", \"n\": [1, {\"x\": null}]}\r\n"
      "{\"text\": \"\"}\n{\"id\": 7, \"text\": \"no newline at the end\"}";
  return {lines, "plain\ntext \xff\xfe\x80 with any bytes\n", gzip(lines), zstd(lines), zstd(lines) + zstd(lines)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const blt::fuzz::MemoryFile file(blt::fuzz::view(data, size));
  read_all(file.path(), "jsonl", "fail", false);
  read_all(file.path(), "jsonl", "skip", false);
  read_all(file.path(), "text", "fail", true);
  return 0;
}
