// SPDX-License-Identifier: MIT
#include "block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/half.h"
#include "layout.h"

namespace blt::shard {
namespace {

constexpr std::uint64_t varint_bytes = 5;    // at most, of 32 bits
constexpr std::uint64_t special_tokens = 2;  // BOS and EOS have positions too

// Floats to and from the little-endian numbers in which a column keeps them.
template <class Bits, class Convert>
void put_floats(std::string& column, const std::vector<float>& values, Convert bits_of) {
  std::size_t at = column.size();
  column.resize(at + sizeof(Bits) * values.size());
  for (const float value : values) {
    const Bits bits = bits_of(value);
    for (std::size_t i = 0; i < sizeof(Bits); ++i)
      column[at++] = static_cast<char>(bits >> (8 * i) & 0xff);
  }
}
template <class Bits, class Convert>
void take_floats(const char* stored, std::vector<float>& values, Convert value_of) {
  for (float& value : values) {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < sizeof(Bits); ++i)
      bits |= static_cast<std::uint32_t>(static_cast<unsigned char>(*stored++)) << (8 * i);
    value = value_of(static_cast<Bits>(bits));
  }
}

void put_lengths(std::string& out, std::span<const std::uint32_t> lengths) {
  std::uint32_t all_bits = 0;
  for (const std::uint32_t length : lengths) all_bits |= length;
  if (all_bits >= 0x80) {
    for (const std::uint32_t length : lengths) put_varint(out, length);
    return;
  }
  const std::size_t at = out.size();
  out.resize(at + lengths.size());
  std::transform(lengths.begin(), lengths.end(), out.begin() + static_cast<std::ptrdiff_t>(at),
                 [](std::uint32_t length) { return static_cast<char>(length); });
}

void put_text(std::string& out, const std::string& text) {
  put_varint(out, text.size());
  out += text;
}

}  // namespace

std::uint16_t flags_of(const WriterOptions& options) {
  if (!options.entropies) return 0;
  return options.entropy_type == EntropyType::float32 ? flag_entropies | flag_float32
                                                      : flag_entropies;
}

bool known_flags(std::uint16_t flags) {
  return flags == 0 || flags == flag_entropies || flags == (flag_entropies | flag_float32);
}

std::size_t entropy_bytes(std::uint16_t flags) {
  if ((flags & flag_entropies) == 0) return 0;
  return (flags & flag_float32) != 0 ? sizeof(float) : sizeof(std::uint16_t);
}

std::uint64_t record_bound(const Record& record, std::uint16_t flags) {
  std::uint64_t lengths = 0;
  for (const std::uint32_t length : record.patch_lengths)
    lengths += length < 0x80 ? 1 : varint_bytes;
  return 4 * varint_bytes + record.id.size() + record.group.size() + record.text.size() + lengths +
         entropy_bytes(flags) * record.entropies.size();
}

void encode_block(std::span<const Record> records, std::uint16_t flags, std::string& out) {
  std::uint64_t bound = block_header_bytes;
  for (const auto& record : records) bound += record_bound(record, flags);
  out.clear();
  out.reserve(bound);
  out += block_magic;
  put(out, format_version);
  put(out, flags);
  put(out, static_cast<std::uint32_t>(records.size()));
  std::size_t size_at = out.size();
  out.resize(block_header_bytes);
  const auto column = [&](auto&& put_record) {
    const std::size_t begin = out.size();
    for (const auto& record : records) put_record(record);
    const std::size_t size = out.size() - begin;
    for (std::size_t i = 0; i < 4; ++i)
      out[size_at++] = static_cast<char>(size >> (8 * i) & 0xff);
  };
  column([&](const Record& r) { put_text(out, r.id); });
  column([&](const Record& r) { put_text(out, r.group); });
  column([&](const Record& r) { put_varint(out, r.text.size()); });
  column([&](const Record& r) { out += r.text; });
  column([&](const Record& r) { put_varint(out, r.patch_lengths.size()); });
  column([&](const Record& r) { put_lengths(out, r.patch_lengths); });
  column([&](const Record& r) {
    if ((flags & flag_float32) != 0) {
      put_floats<std::uint32_t>(out, r.entropies, [](float value) { return std::bit_cast<std::uint32_t>(value); });
    } else if ((flags & flag_entropies) != 0) {
      put_floats<std::uint16_t>(out, r.entropies, half_from_float);
    }
  });
}

std::uint64_t Block::text_bytes() const {
  return std::accumulate(documents.begin(), documents.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Document& d) { return sum + d.text.size(); });
}

void Block::copy(std::size_t index, Record& record) const {
  const Document& document = documents[index];
  record.id.assign(document.id);
  record.group.assign(document.group);
  record.text.assign(document.text);
  const auto first = patch_lengths.begin() + static_cast<std::ptrdiff_t>(document.first_patch);
  record.patch_lengths.assign(first, first + static_cast<std::ptrdiff_t>(document.patches));
  record.entropies.clear();
  const std::size_t width = entropy_bytes(flags);
  if (width == 0) return;
  record.entropies.resize(document.text.size() + special_tokens);
  const char* stored = entropies.data() + width * document.first_position;
  if (width == sizeof(float)) {
    take_floats<std::uint32_t>(stored, record.entropies,
                               [](std::uint32_t bits) { return std::bit_cast<float>(bits); });
  } else {
    take_floats<std::uint16_t>(stored, record.entropies, float_from_half);
  }
}

std::string Block::tiling_problem(std::size_t index) const {
  const Document& document = documents[index];
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < document.patches; ++i) {
    const std::uint32_t length = patch_lengths[document.first_patch + i];
    if (length == 0) return cat("patch ", i, " has length 0");
    sum += length;
  }
  const std::uint64_t expected = document.text.size() + special_tokens;
  return sum == expected ? std::string()
                         : cat("patch lengths sum to ", sum, ", expected ", expected);
}

namespace {

struct Columns {
  FieldReader ids, groups, sizes, text, patch_counts, patch_lengths, entropies;

  void require_used() const {
    for (const FieldReader* column :
         {&ids, &groups, &sizes, &text, &patch_counts, &patch_lengths}) {
      if (column->left() != 0) throw input_error("a column is longer than its documents");
    }
  }
};

void parse_documents(Columns& columns, std::uint32_t count, Block& block) {
  // Each document takes at least a byte of a column, so a false count cannot ask for much memory.
  if (count == 0 || count > columns.ids.left())
    throw input_error("an impossible number of documents");
  block.documents.assign(count, {});
  std::size_t patches = 0, positions = 0;
  for (auto& document : block.documents) {
    document.id = columns.ids.take_text(columns.ids.get_varint());
    document.group = columns.groups.take_text(columns.groups.get_varint());
    document.text = columns.text.take_text(columns.sizes.get_varint());
    document.first_patch = patches;
    document.patches = columns.patch_counts.get_varint();
    document.first_position = positions;
    patches += document.patches;
    positions += document.text.size() + special_tokens;
    if (patches > columns.patch_lengths.left())
      throw input_error("an impossible number of patches");
  }
  if (columns.entropies.left() != entropy_bytes(block.flags) * positions) {
    throw input_error("the number of entropies is not the number of positions");
  }
  block.patch_lengths.resize(patches);
  for (auto& length : block.patch_lengths) length = columns.patch_lengths.get_varint();
  columns.require_used();
}

}  // namespace

void parse_block(Block& block) {
  FieldReader fields(as_bytes(block.content));
  if (fields.take_text(block_magic.size()) != block_magic)
    throw input_error("not a block of documents");
  const auto version = fields.get<std::uint16_t>();
  if (version != format_version) throw input_error(cat("block version ", version, " is not known"));
  block.flags = fields.get<std::uint16_t>();
  if (!known_flags(block.flags)) throw input_error(cat("unknown block flags ", block.flags));
  const auto count = fields.get<std::uint32_t>();
  std::array<std::uint32_t, 7> sizes{};
  for (auto& size : sizes) size = fields.get<std::uint32_t>();
  std::size_t next = 0;
  const auto column = [&] { return FieldReader(fields.take(sizes[next++])); };
  // Braces evaluate in order.
  Columns columns{column(), column(), column(), column(), column(), column(), column()};
  if (fields.left() != 0) throw input_error("a block is longer than its columns");
  block.entropies = {reinterpret_cast<const char*>(columns.entropies.rest().data()),
                     columns.entropies.left()};
  parse_documents(columns, count, block);
}

}  // namespace blt::shard
