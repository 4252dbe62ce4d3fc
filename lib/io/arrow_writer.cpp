// SPDX-License-Identifier: MIT
// The Arrow IPC file format (https://arrow.apache.org/docs/format/Columnar.html, version 5):
// messages of flatbuffers metadata and a body of column buffers, then a footer that tells where
// they are. The numbers below are those of Arrow's Schema.fbs, Message.fbs and File.fbs.
#include "blt/io/arrow_writer.h"

#include <flatbuffers/flatbuffers.h>

#include <vector>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/half.h"
#include "little_endian.h"

namespace blt::io {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;
using TableOffset = flatbuffers::Offset<flatbuffers::Table>;
using flatbuffers::voffset_t;

constexpr std::int16_t metadata_version = 4;  // V5
constexpr std::uint8_t header_schema = 1, header_record_batch = 3;
constexpr std::uint8_t type_floating_point = 3, type_utf8 = 5, type_list = 12;
constexpr std::int16_t precision_half = 0;

constexpr std::int64_t batch_rows = 1000;
constexpr std::uint64_t batch_bytes = std::uint64_t{256} << 20;  // ends a batch early
constexpr std::uint64_t largest_column = 0x7fffffff;             // offsets are int32

struct FieldNode {
  std::int64_t length, null_count;
};
struct Buffer {
  std::int64_t offset, length;
};
struct Block {  // of the footer; metadata_bytes is an int32 and padding
  std::int64_t offset, metadata_bytes, body_bytes;
};

template <class T>
void set(Builder& b, voffset_t field, T value) {
  b.AddElement<T>(flatbuffers::FieldIndexToOffset(field), value, T{});
}
template <class T>
void set(Builder& b, voffset_t field, flatbuffers::Offset<T> value) {
  b.AddOffset(flatbuffers::FieldIndexToOffset(field), value);
}
template <class Fill>
TableOffset table(Builder& b, Fill fill) {
  const auto start = b.StartTable();
  fill();
  return {b.EndTable(start)};
}

TableOffset field(Builder& b, const char* text, std::uint8_t type, bool nullable,
                  const std::vector<TableOffset>& children) {
  const auto name = b.CreateString(text);
  const auto details = table(b, [&] {
    if (type == type_floating_point) set(b, 0, precision_half);
  });
  const auto inner = b.CreateVector(children);
  return table(b, [&] {
    set(b, 0, name);
    set(b, 1, static_cast<std::uint8_t>(nullable));
    set(b, 2, type);
    set(b, 3, details);
    set(b, 5, inner);
  });
}

TableOffset schema(Builder& b) {
  const auto item = field(b, "item", type_floating_point, true, {});  // as pyarrow's list_ makes it
  const auto fields = b.CreateVector(std::vector{field(b, "sample_id", type_utf8, false, {}),
                                                 field(b, "text", type_utf8, false, {}),
                                                 field(b, "entropies", type_list, false, {item})});
  return table(b, [&] { set(b, 1, fields); });  // 0, endianness: little
}

std::string finished(Builder& b, TableOffset root) {
  b.Finish(root);
  return {reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize()};
}

void pad(std::string& bytes) {
  bytes.resize((bytes.size() + 7) / 8 * 8);
}

// Metadata as it stands before its body: a marker, its size, itself, padded to 8 bytes.
std::string message(Builder& b, std::uint8_t type, TableOffset header, std::uint64_t body_bytes) {
  const auto root = table(b, [&] {
    set(b, 0, metadata_version);
    set(b, 1, type);
    set(b, 2, header);
    set(b, 3, static_cast<std::int64_t>(body_bytes));
  });
  std::string metadata = finished(b, root), out;
  pad(metadata);
  append_little_endian(out, std::uint32_t{0xffffffff});
  append_little_endian(out, static_cast<std::uint32_t>(metadata.size()));
  return out += metadata;
}

// Values one behind the other, and where each row's begin.
struct Column {
  std::string offsets, values;

  Column() { clear(); }
  void clear() {
    offsets.assign(4, '\0');
    values.clear();
  }
  void end_row(std::uint64_t end) {
    append_little_endian(offsets, static_cast<std::uint32_t>(end));
  }
};

}  // namespace

struct ArrowWriter::Impl {
  AtomicFile file;
  std::int64_t rows = 0;  // of the batch
  Column ids, texts, entropies;
  std::vector<Block> blocks;

  Impl(const std::string& path, bool force) : file(path, force) {
    file.write(std::string_view("ARROW1\0\0", 8));
    Builder b;
    file.write(message(b, header_schema, schema(b), 0));
  }

  void flush() {
    if (rows == 0) return;
    std::string body;
    std::vector<Buffer> buffers;
    const auto add = [&](std::string_view bytes) {
      buffers.push_back(
          {static_cast<std::int64_t>(body.size()), static_cast<std::int64_t>(bytes.size())});
      body += bytes;
      pad(body);
    };
    for (const Column* column : {&ids, &texts, &entropies}) {
      add({});  // no row is null
      add(column->offsets);
      if (column == &entropies) add({});
      add(column->values);
    }
    const auto items = static_cast<std::int64_t>(entropies.values.size() / sizeof(std::uint16_t));
    const std::vector<FieldNode> nodes{{rows, 0}, {rows, 0}, {rows, 0}, {items, 0}};
    Builder b;
    const auto node_list = b.CreateVectorOfStructs(nodes.data(), nodes.size());
    const auto buffer_list = b.CreateVectorOfStructs(buffers.data(), buffers.size());
    const auto batch = table(b, [&] {
      set(b, 0, rows);
      set(b, 1, node_list);
      set(b, 2, buffer_list);
    });
    const std::string head = message(b, header_record_batch, batch, body.size());
    blocks.push_back({static_cast<std::int64_t>(file.size()),
                      static_cast<std::int64_t>(head.size()),
                      static_cast<std::int64_t>(body.size())});
    file.write(head);
    file.write(body);
    for (Column* column : {&ids, &texts, &entropies}) column->clear();
    rows = 0;
  }

  void write_footer() {
    std::string end;
    append_little_endian(end,
                         std::uint64_t{0xffffffff});  // an empty message: the stream form ends here
    Builder b;
    const auto columns = schema(b);
    const auto dictionaries = b.CreateVectorOfStructs(blocks.data(), 0);
    const auto batches = b.CreateVectorOfStructs(blocks.data(), blocks.size());
    const std::string footer = finished(b, table(b, [&] {
                                          set(b, 0, metadata_version);
                                          set(b, 1, columns);
                                          set(b, 2, dictionaries);
                                          set(b, 3, batches);
                                        }));
    end += footer;
    append_little_endian(end, static_cast<std::uint32_t>(footer.size()));
    file.write(end += "ARROW1");
  }
};

ArrowWriter::ArrowWriter(const std::string& path, bool force)
    : impl_(std::make_unique<Impl>(path, force)) {}
ArrowWriter::~ArrowWriter() = default;

void ArrowWriter::add(std::string_view id, std::string_view text,
                      std::span<const float> entropies) {
  Impl& impl = *impl_;
  const std::uint64_t more = id.size() + text.size() + sizeof(std::uint16_t) * entropies.size();
  if (more > largest_column)
    throw input_error(
        cat("document \"", id, "\": too large for an Arrow file (", text.size(), " bytes)"));
  const std::uint64_t held =
      impl.ids.values.size() + impl.texts.values.size() + impl.entropies.values.size();
  if (impl.rows == batch_rows || (impl.rows > 0 && held + more > batch_bytes)) impl.flush();
  impl.ids.values += id;
  impl.ids.end_row(impl.ids.values.size());
  impl.texts.values += text;
  impl.texts.end_row(impl.texts.values.size());
  std::string& halves = impl.entropies.values;
  std::size_t at = halves.size();
  halves.resize(at + sizeof(std::uint16_t) * entropies.size());
  for (const float value : entropies) {
    const std::uint16_t half = half_from_float(value);
    halves[at++] = static_cast<char>(half & 0xff);
    halves[at++] = static_cast<char>(half >> 8);
  }
  impl.entropies.end_row(halves.size() / sizeof(std::uint16_t));
  ++impl.rows;
}

std::uint64_t ArrowWriter::finish() {
  impl_->flush();
  impl_->write_footer();
  impl_->file.commit();
  return impl_->file.size();
}

}  // namespace blt::io
