// SPDX-License-Identifier: MIT
// Numbers and little-endian fields of the shard format (docs/format.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace blt::shard {

constexpr std::uint16_t format_version = 1;
constexpr std::uint16_t flag_entropies = 1;
constexpr std::uint16_t flag_float32 = 2;  // of the entropies; only with flag_entropies

constexpr std::string_view shard_magic = "BLTSHARD";
constexpr std::string_view block_magic = "BLTB";
constexpr std::string_view index_magic = "BLTINDEX";

// RFC 8878, 3.1.2; E is the seekable format's choice for the seek table.
constexpr std::uint32_t skippable_magic = 0x184D2A5D;
constexpr std::uint32_t seek_table_frame_magic = 0x184D2A5E;
constexpr std::uint32_t seek_table_footer_magic = 0x8F92EAB1;
constexpr std::uint8_t seek_table_has_checksums = 0x80;

constexpr std::size_t skippable_header_bytes = 8;
constexpr std::size_t header_payload_bytes = 16;
constexpr std::size_t header_frame_bytes = skippable_header_bytes + header_payload_bytes;
constexpr std::size_t block_header_bytes = 40;
constexpr std::size_t index_fixed_bytes = 40;  // magic, three totals, the number of blocks, zero
constexpr std::size_t index_entry_bytes = 12;
constexpr std::size_t index_sum_bytes = 8;
constexpr std::size_t seek_entry_bytes = 12;
constexpr std::size_t seek_footer_bytes = 9;

constexpr std::uint64_t max_block_payload = 0xFFFFFFFFu;  // sizes in the seek table are 32 bits

template <class T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xff);
  }
}

void put_varint(std::string& out, std::uint64_t value);  // LEB128

// Takes fields from the front of a piece of memory. Errors: input ("cut off"), never a read past
// the end.
class FieldReader {
 public:
  explicit FieldReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class T>
  T get() {
    const auto field = take(sizeof(T));
    std::uint64_t value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;)
      value = value << 8 | std::to_integer<std::uint64_t>(field[i]);
    return static_cast<T>(value);
  }
  std::uint32_t get_varint();  // at most 32 bits, in as few bytes as possible
  std::span<const std::byte> take(std::size_t count);
  std::string_view take_text(std::size_t count);
  std::span<const std::byte> rest() const { return bytes_; }
  std::size_t left() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

// The low 32 bits of XXH64 (seed 0): a zstd frame's content checksum, and the seek table's.
std::uint32_t content_checksum(std::span<const std::byte> content);

}  // namespace blt::shard
