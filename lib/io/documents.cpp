// SPDX-License-Identifier: MIT
#include "blt/io/documents.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "blt/base/error.h"
#include "blt/base/hash.h"
#include "blt/io/pieces.h"
#include "blt/io/source.h"
#include "json_record.h"
#include "line_reader.h"

namespace blt::io {
namespace {

constexpr std::size_t max_messages = 100;
constexpr std::string_view utf8_bom = "\xef\xbb\xbf";

enum class Format { jsonl, text, text_lines, binary };

bool drop_suffix(std::string& name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return false;
  name.resize(name.size() - suffix.size());
  return true;
}

Format format_of(const DocumentOptions& options, const std::string& file) {
  if (options.format == "jsonl") return Format::jsonl;
  if (options.format == "binary") return Format::binary;
  // Standard input has no name and is text.
  if (options.format == "auto" && named_jsonl(file)) return Format::jsonl;
  return options.split_lines ? Format::text_lines : Format::text;
}

void check_options(const DocumentOptions& options) {
  const auto one_of = [](std::string_view value, std::initializer_list<std::string_view> choices) {
    return std::find(choices.begin(), choices.end(), value) != choices.end();
  };
  if (!one_of(options.format, {"auto", "jsonl", "text", "binary"})) {
    throw usage_error(
        cat("document format \"", options.format, "\" is not auto, jsonl, text or binary"));
  }
  if (!one_of(options.on_error, {"fail", "skip"})) {
    throw usage_error(cat("on_error \"", options.on_error, "\" is not fail or skip"));
  }
  if (options.max_document_bytes == 0)
    throw usage_error("the largest document size must be above 0");
}

// An error that on_error=skip does not pass over.
struct ChangedFile : Error {
  explicit ChangedFile(std::string message) : Error(ErrorKind::input, std::move(message)) {}
};

bool blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

struct DocumentReader::Impl {
  DocumentOptions options;
  std::vector<FilePiece> pieces;
  LineCounter own_counter;
  LineCounter* counter = &own_counter;
  std::uint64_t total = 0;
  JsonRecordParser json;
  DocumentCounts counts;
  std::vector<std::string> messages;

  // The file that is open.
  std::size_t next_piece = 0;
  Format format = Format::text;
  std::unique_ptr<ByteSource> source;
  std::optional<LineReader> lines;
  std::optional<std::uint64_t> lines_before;  // the piece, once somebody asked
  std::uint64_t closed_bytes = 0;             // read from the files before it

  explicit Impl(DocumentOptions given) : options(std::move(given)), json(options) {
    check_options(options);
  }

  const FilePiece& piece() const { return pieces[next_piece - 1]; }
  const std::string& file() const { return piece().path; }

  std::string place() {
    if (!lines) return file();
    if (!lines_before)
      lines_before = piece().begin == 0 ? 0 : counter->lines_before(file(), piece().begin);
    return cat(file(), ":", *lines_before + lines->number());
  }

  void open_next() {
    ++next_piece;
    format = format_of(options, file());
    check_size(piece().file_bytes ? source_size(file()) : 0, piece().file_bytes);
    source = piece().end ? open_range(file(), piece().begin, piece().end) : open_source(file());
    if (format == Format::jsonl || format == Format::text_lines) {
      lines.emplace(*source, options.max_document_bytes, JsonRecordParser::padding());
    }
  }

  // What was planned for one file would be done to another.
  void check_size(std::uint64_t bytes, std::uint64_t planned) const {
    if (planned && bytes != planned)
      throw ChangedFile(cat(file(), ": has ", bytes, " bytes now, and had ", planned,
                             " when the run was planned"));
  }

  void end_of_piece() {
    const FilePiece& done = piece();
    const std::uint64_t skipped_bytes = done.end ? done.begin : 0;
    check_size(skipped_bytes + source->position(), done.end ? done.end : done.file_bytes);
    if (lines && lines_before && done.end)
      counter->tell(done.path, done.end, *lines_before + lines->number());
  }

  void close() {
    if (source) closed_bytes += source->position();
    lines.reset();
    lines_before.reset();
    source.reset();
  }

  // The policy of a record that is not usable.
  void refuse(const std::string& reason) {
    std::string message = cat(place(), ": ", reason);
    if (options.on_error == "fail") throw input_error(message);
    leave_out(std::move(message));
  }

  void leave_out(std::string message) {
    ++counts.skipped;
    if (messages.size() < max_messages) messages.push_back(std::move(message));
  }

  std::string too_long(std::string_view what) const {
    return cat(what, " is longer than ", options.max_document_bytes, " bytes");
  }

  bool read_jsonl(Document& document) {
    std::string_view line;
    for (;;) {
      const auto result = lines->next(line);
      if (result == LineReader::Result::end) break;
      if (result == LineReader::Result::too_long) {
        refuse(too_long("the line"));
        continue;
      }
      std::size_t allocated = lines->allocated(line);
      if (piece().begin == 0 && lines->number() == 1 && line.starts_with(utf8_bom)) {
        line.remove_prefix(utf8_bom.size());
        allocated -= utf8_bom.size();
      }
      if (blank(line)) continue;
      if (const auto reason = json.parse(line, allocated, document)) {
        refuse(*reason);
        continue;
      }
      if (document.id.empty()) document.id = place();
      return true;
    }
    end_of_piece();
    return false;
  }

  bool read_line(Document& document) {
    std::string_view line;
    for (;;) {
      const auto result = lines->next(line);
      if (result == LineReader::Result::end) break;
      if (result == LineReader::Result::too_long) {
        refuse(too_long("the line"));
      } else if (!line.empty()) {
        document.text.assign(line);
        document.id = place();
        document.group.clear();
        return true;
      }
    }
    end_of_piece();
    return false;
  }

  // The whole file as one document; an empty file is none. False at its end.
  bool read_whole(Document& document) {
    constexpr std::size_t step = std::size_t{1} << 18;
    // Room for one byte over the limit tells a document that is too long.
    const std::uint64_t limit = std::min(options.max_document_bytes, std::uint64_t{1} << 62) + 1;
    std::string& text = document.text;
    std::size_t used = 0;
    for (;;) {
      if (used == text.size())
        text.resize(std::min<std::uint64_t>(std::max(2 * used, step), limit));
      const std::size_t got =
          source->read(std::as_writable_bytes(std::span(text.data() + used, text.size() - used)));
      if (got == 0) break;
      used += got;
      if (used > options.max_document_bytes) {
        refuse(too_long("the document"));
        return false;
      }
    }
    text.resize(used);
    end_of_piece();
    document.id = file();
    document.group.clear();
    return used > 0;
  }

  // One document of the open file; false when it holds no more.
  bool read(Document& document) {
    switch (format) {
      case Format::jsonl:
        return read_jsonl(document);
      case Format::text_lines:
        return read_line(document);
      default:
        break;
    }
    return read_whole(document);
  }
};

DocumentReader::DocumentReader(const std::vector<std::string>& inputs, DocumentOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {
  bool known = true;
  for (auto& file : expand_inputs(inputs)) {
    const std::uint64_t size = source_size(file);
    known = known && (size > 0 || file != "-");
    impl_->total += size;
    impl_->pieces.push_back({std::move(file)});
  }
  if (!known) impl_->total = 0;
}
DocumentReader::DocumentReader(std::vector<FilePiece> pieces, DocumentOptions options,
                               LineCounter& lines)
    : impl_(std::make_unique<Impl>(std::move(options))) {
  impl_->pieces = std::move(pieces);
  impl_->counter = &lines;
  for (const auto& piece : impl_->pieces)
    impl_->total += piece.end ? piece.end - piece.begin : piece.file_bytes;
}
DocumentReader::~DocumentReader() = default;

bool DocumentReader::next(Document& document) {
  Impl& impl = *impl_;
  while (impl.source || impl.next_piece < impl.pieces.size()) {
    try {
      if (!impl.source) impl.open_next();
      const bool whole_file = !impl.lines;
      if (impl.read(document)) {
        if (whole_file) impl.close();
        ++impl.counts.documents;
        impl.counts.bytes += document.text.size();
        return true;
      }
    } catch (const ChangedFile&) {
      throw;
    } catch (const Error& error) {
      if (impl.options.on_error == "fail" || error.kind() != ErrorKind::input) throw;
      impl.leave_out(error.what());
    }
    impl.close();
  }
  return false;
}

const DocumentCounts& DocumentReader::counts() const {
  return impl_->counts;
}

std::uint64_t DocumentReader::bytes_read() const {
  return impl_->closed_bytes + (impl_->source ? impl_->source->position() : 0);
}

std::uint64_t DocumentReader::bytes_total() const {
  return impl_->total;
}
const std::vector<std::string>& DocumentReader::skipped() const {
  return impl_->messages;
}
std::vector<std::string> DocumentReader::files() const {
  std::vector<std::string> files;
  for (const auto& piece : impl_->pieces) files.push_back(piece.path);
  return files;
}

bool has_lines(const DocumentOptions& options, const std::string& file) {
  const Format format = format_of(options, file);
  return format == Format::jsonl || format == Format::text_lines;
}

bool named_jsonl(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  drop_suffix(name, ".gz") || drop_suffix(name, ".zst") || drop_suffix(name, ".zstd");
  return name.ends_with(".jsonl") || name.ends_with(".ndjson") || name.ends_with(".json");
}

bool held_out(std::string_view document_id, double fraction) {
  // The top 53 bits as a number in [0, 1), exact in a double.
  return static_cast<double>(xxh3_64(document_id) >> 11) * 0x1.0p-53 < fraction;
}

}  // namespace blt::io
