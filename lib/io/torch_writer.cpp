// SPDX-License-Identifier: MIT
#include <zlib.h>

#include <algorithm>
#include <array>

#include "blt/base/error.h"
#include "blt/io/torch_file.h"
#include "little_endian.h"

namespace blt::io {
namespace {

constexpr std::size_t alignment = 64;  // of data, as torch has it
constexpr std::uint64_t most_32 = 0xffffffff;

const char* storage_name(DType dtype) {
  switch (dtype) {
    case DType::f64: return "DoubleStorage";
    case DType::f32: return "FloatStorage";
    case DType::f16: return "HalfStorage";
    case DType::bf16: return "BFloat16Storage";
    case DType::i64: return "LongStorage";
    default: throw internal_error("torch file: a dtype that is not written");
  }
}

// Opcodes of protocol 2.
class PickleText {
 public:
  std::string out = std::string("\x80\x02", 2);

  void op(char opcode) { out += opcode; }
  void text(std::string_view value) {
    out += 'X';
    append_little_endian(out, static_cast<std::uint32_t>(value.size()));
    out += value;
  }
  void integer(std::int64_t value) {
    if (value >= 0 && value <= 0x7fffffff) {
      out += 'J';
      append_little_endian(out, static_cast<std::uint32_t>(value));
    } else {
      out += '\x8a';
      out += '\x08';
      append_little_endian(out, value);
    }
  }
  void integers(std::span<const std::int64_t> values) {
    op('(');
    for (const auto value : values) integer(value);
    op('t');
  }
  void global(std::string_view module, std::string_view name) { out += cat('c', module, '\n', name, '\n'); }
};

struct Member {
  std::string name;
  std::uint64_t header = 0, size = 0;
  std::uint32_t crc = 0;
};

}  // namespace

struct TorchWriter::Impl {
  struct Tensor {
    std::string name;
    DType dtype;
    std::vector<std::int64_t> shape;
    std::uint64_t bytes = 0;
  };

  AtomicFile file;
  std::string top;
  std::vector<Tensor> tensors;
  std::vector<Member> members;
  bool started = false;
  std::size_t next = 0;       // the tensor that is opened next
  std::uint64_t written = 0;  // bytes of the open one

  Impl(std::string path, std::string key, bool force) : file(std::move(path), force), top(std::move(key)) {}

  std::string pickle() const {
    PickleText p;
    p.op('}');
    p.text(top);
    p.op('}');
    p.op('(');
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const Tensor& t = tensors[i];
      std::vector<std::int64_t> stride(t.shape.size(), 1);
      for (std::size_t d = t.shape.size(); d-- > 1;) stride[d - 1] = stride[d] * std::max<std::int64_t>(t.shape[d], 1);
      p.text(t.name);
      p.global("torch._utils", "_rebuild_tensor_v2");
      p.op('(');
      p.op('(');
      p.text("storage");
      p.global("torch", storage_name(t.dtype));
      p.text(std::to_string(i));
      p.text("cpu");
      p.integer(static_cast<std::int64_t>(t.bytes / dtype_size(t.dtype)));
      p.op('t');
      p.op('Q');
      p.integer(0);
      p.integers(t.shape);
      p.integers(stride);
      p.op('\x89');
      p.global("collections", "OrderedDict");
      p.op(')');
      p.op('R');
      p.op('t');
      p.op('R');
    }
    p.op('u');
    p.op('s');
    p.op('.');
    return p.out;
  }

  // Members are stored; the sum is filled in when the data is known.
  void open_member(const std::string& path, std::uint64_t size) {
    const std::string name = "archive/" + path;
    members.push_back({name, file.size(), size, static_cast<std::uint32_t>(crc32(0, nullptr, 0))});
    const bool big = size >= most_32;
    std::string extra;
    if (big) {
      append_little_endian<std::uint16_t>(extra, 1);
      append_little_endian<std::uint16_t>(extra, 16);
      append_little_endian(extra, size);
      append_little_endian(extra, size);
    }
    const std::size_t before = 30 + name.size() + extra.size() + 4;
    const std::size_t padding = (alignment - (file.size() + before) % alignment) % alignment;
    append_little_endian<std::uint16_t>(extra, 0x4246);
    append_little_endian(extra, static_cast<std::uint16_t>(padding));
    extra.append(padding, '\0');
    std::string header;
    append_little_endian<std::uint32_t>(header, 0x04034b50);
    append_common(header, 0, size, big);
    append_little_endian(header, static_cast<std::uint16_t>(name.size()));
    append_little_endian(header, static_cast<std::uint16_t>(extra.size()));
    file.write(header + name + extra);
  }

  // Version, flags (UTF-8 names), method, time, date, sum, sizes: the same in both headers.
  static void append_common(std::string& out, std::uint32_t crc, std::uint64_t size, bool big) {
    append_little_endian(out, static_cast<std::uint16_t>(big ? 45 : 20));
    append_little_endian<std::uint16_t>(out, 0x0800);
    append_little_endian<std::uint16_t>(out, 0);
    append_little_endian<std::uint16_t>(out, 0);
    append_little_endian<std::uint16_t>(out, 0x21);  // 1980-01-01
    append_little_endian(out, crc);
    for (int i = 0; i < 2; ++i) append_little_endian(out, static_cast<std::uint32_t>(big ? most_32 : size));
  }

  void add_data(std::span<const std::byte> data) {
    Member& m = members.back();
    file.write(data);
    while (!data.empty()) {
      const auto piece = data.subspan(0, std::min<std::size_t>(data.size(), 1u << 30));
      m.crc = static_cast<std::uint32_t>(crc32(m.crc, reinterpret_cast<const Bytef*>(piece.data()), static_cast<uInt>(piece.size())));
      data = data.subspan(piece.size());
    }
  }

  void close_member() {
    std::string crc;
    append_little_endian(crc, members.back().crc);
    file.write_at(members.back().header + 14, as_bytes(crc));
  }

  void add_member(const std::string& path, std::string_view data) {
    open_member(path, data.size());
    add_data(as_bytes(data));
    close_member();
  }

  void start() {
    if (started) return;
    started = true;
    add_member("data.pkl", pickle());
    add_member("byteorder", "little");
  }

  // Closes what is complete and opens the tensor after it; tensors without bytes have members too.
  void open_next() {
    if (next > 0) {
      if (written != tensors[next - 1].bytes) {
        throw internal_error(cat("torch file: tensor \"", tensors[next - 1].name, "\" is not complete"));
      }
      close_member();
    }
    if (next < tensors.size()) open_member("data/" + std::to_string(next), tensors[next].bytes);
    ++next;
    written = 0;
  }

  void write_directory() {
    std::string text;
    for (const Member& m : members) {
      const bool big = m.size >= most_32, far = m.header >= most_32;
      std::string extra;
      if (big || far) {
        append_little_endian<std::uint16_t>(extra, 1);
        append_little_endian(extra, static_cast<std::uint16_t>((big ? 16 : 0) + (far ? 8 : 0)));
        for (int i = 0; big && i < 2; ++i) append_little_endian(extra, m.size);
        if (far) append_little_endian(extra, m.header);
      }
      append_little_endian<std::uint32_t>(text, 0x02014b50);
      append_little_endian<std::uint16_t>(text, 45);
      append_common(text, m.crc, m.size, big);
      append_little_endian(text, static_cast<std::uint16_t>(m.name.size()));
      append_little_endian(text, static_cast<std::uint16_t>(extra.size()));
      text.append(2 + 2 + 2 + 4, '\0');  // comment, disk, attributes
      append_little_endian(text, static_cast<std::uint32_t>(far ? most_32 : m.header));
      text += m.name + extra;
    }
    const std::uint64_t begin = file.size(), count = members.size();
    const std::uint64_t end = begin + text.size();
    append_little_endian<std::uint32_t>(text, 0x06064b50);  // zip64: always there, needed beyond 4 GiB or 65,535 members
    append_little_endian<std::uint64_t>(text, 44);
    append_little_endian<std::uint16_t>(text, 45);
    append_little_endian<std::uint16_t>(text, 45);
    append_little_endian<std::uint32_t>(text, 0);
    append_little_endian<std::uint32_t>(text, 0);
    for (const std::uint64_t value : {count, count, end - begin, begin}) append_little_endian(text, value);
    append_little_endian<std::uint32_t>(text, 0x07064b50);
    append_little_endian<std::uint32_t>(text, 0);
    append_little_endian(text, end);
    append_little_endian<std::uint32_t>(text, 1);
    append_little_endian<std::uint32_t>(text, 0x06054b50);
    append_little_endian<std::uint32_t>(text, 0);
    for (int i = 0; i < 2; ++i) append_little_endian(text, static_cast<std::uint16_t>(std::min<std::uint64_t>(count, 0xffff)));
    append_little_endian(text, static_cast<std::uint32_t>(std::min(end - begin, most_32)));
    append_little_endian(text, static_cast<std::uint32_t>(std::min(begin, most_32)));
    append_little_endian<std::uint16_t>(text, 0);
    file.write(text);
  }
};

TorchWriter::TorchWriter(std::string path, std::string top, bool force)
    : impl_(std::make_unique<Impl>(std::move(path), std::move(top), force)) {}
TorchWriter::~TorchWriter() = default;

void TorchWriter::declare(std::string name, DType dtype, std::vector<std::int64_t> shape) {
  if (impl_->started) throw internal_error("torch file: declare() after the first write");
  const std::uint64_t bytes = tensor_bytes(dtype, shape);
  impl_->tensors.push_back({std::move(name), dtype, std::move(shape), bytes});
}

void TorchWriter::write(std::string_view name, std::span<const std::byte> data) {
  Impl& impl = *impl_;
  impl.start();
  while (impl.next == 0 || impl.tensors[impl.next - 1].name != name) {
    if (impl.next >= impl.tensors.size()) throw internal_error(cat("torch file: tensor \"", name, "\" is not the next one to write"));
    impl.open_next();
  }
  if (data.size() > impl.tensors[impl.next - 1].bytes - impl.written) {
    throw internal_error(cat("torch file: tensor \"", name, "\" gets more bytes than declared"));
  }
  impl.add_data(data);
  impl.written += data.size();
}

void TorchWriter::commit() {
  Impl& impl = *impl_;
  impl.start();
  while (impl.next <= impl.tensors.size()) impl.open_next();
  impl.add_member("version", "3\n");
  impl.write_directory();
  impl.file.commit();
}

}  // namespace blt::io
