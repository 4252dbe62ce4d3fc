// SPDX-License-Identifier: MIT
// Corpus files -> documents.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace blt::io {

struct Document {
  std::string id;     // sample_id, id, title, url, ... of a JSON record; else "PATH" or "PATH:LINE"
  std::string group;  // the value of the group field (language, source), or empty
  std::string text;   // any bytes
};

struct DocumentOptions {
  std::string format = "auto";        // auto (by name: .jsonl/.ndjson/.json [.gz|.zst]), jsonl, text, binary
  bool split_lines = false;           // text: one document a line (without its newline; empty lines skipped)
  std::string field;                  // JSON text field; empty: text, then content
  std::string group_field;            // JSON field kept as group; empty: none
  std::string on_error = "fail";      // fail; skip: leave out bad records, and files that cannot be read
  std::uint64_t max_document_bytes = std::uint64_t{1} << 30;  // larger: input error ("enormous line")
};

struct DocumentCounts {
  std::uint64_t documents = 0;
  std::uint64_t bytes = 0;    // of text
  std::uint64_t skipped = 0;  // records and files left out by on_error=skip
};

// A file to read, or some lines of it.
struct FilePiece {
  std::string path;
  std::uint64_t begin = 0, end = 0;  // of a plain file, at lines; end 0: the whole file, compressed or not
  std::uint64_t file_bytes = 0;      // a file of another size is an error, whatever on_error says; 0: any
};

class LineCounter;

// Reads all inputs in order. One reader is used by one thread.
class DocumentReader {
 public:
  DocumentReader(const std::vector<std::string>& inputs, DocumentOptions options);  // runs expand_inputs
  // `lines` numbers the lines of pieces; readers of further pieces of a file should share it.
  DocumentReader(std::vector<FilePiece> pieces, DocumentOptions options, LineCounter& lines);
  ~DocumentReader();
  // False at the end. Errors: input, "FILE:LINE: ..." (on_error=fail).
  bool next(Document& document);
  const DocumentCounts& counts() const;
  std::uint64_t bytes_read() const;   // compressed, over all files so far
  std::uint64_t bytes_total() const;  // compressed, 0 when not known (standard input)
  // Messages of skipped records ("FILE:LINE: ..."), the first 100.
  const std::vector<std::string>& skipped() const;
  std::vector<std::string> files() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// JSON lines by the name: .jsonl, .ndjson, .json, with or without .gz, .zst.
bool named_jsonl(std::string name);

// Whether a document of the file is a line: JSON lines, or text with split_lines.
bool has_lines(const DocumentOptions& options, const std::string& file);

// Which half of a corpus a document belongs to: by the hash of its id, so that the split is the same in every run.
// fraction in [0, 1): true for about that share.
bool held_out(std::string_view document_id, double fraction);

}  // namespace blt::io
