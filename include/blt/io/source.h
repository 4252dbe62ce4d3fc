// SPDX-License-Identifier: MIT
// Byte sources: files and standard input; plain, gzip and zstd (told by their first bytes, not by name).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace blt::io {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills from the front; returns the count, 0 at the end. Errors: input (damaged or truncated stream).
  virtual std::size_t read(std::span<std::byte> buffer) = 0;
  // Compressed bytes consumed so far, for progress.
  virtual std::uint64_t position() const = 0;
};

// "-" is standard input. Decompresses by magic number. Errors: input.
std::unique_ptr<ByteSource> open_source(const std::string& path);

// Bytes [begin, end) of a plain file, fewer where the file ends before. Errors: input.
std::unique_ptr<ByteSource> open_range(const std::string& path, std::uint64_t begin,
                                       std::uint64_t end);

// Whether open_source() would decompress the file. Errors: input.
bool is_compressed(const std::string& path);

// Files and folders -> files, folders walked recursively in byte order of their names (hidden files skipped).
// "-" passes. Errors: input (missing path, a folder without files).
std::vector<std::string> expand_inputs(const std::vector<std::string>& paths);

// The size of the file on disk, 0 for "-".
std::uint64_t source_size(const std::string& path);

}  // namespace blt::io
