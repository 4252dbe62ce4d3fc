// SPDX-License-Identifier: MIT
// Output that appears whole or not at all, and whole-file input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace blt {

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// Writes PATH.tmp-N, N unlike any other process's, and renames it to PATH at commit(), after fsync. Without commit() nothing remains.
// Errors: output (exists without force, not writable, no space).
class AtomicFile {
 public:
  explicit AtomicFile(std::string path, bool force = true);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> data);
  void write(std::string_view text) { write(as_bytes(text)); }
  // Overwrites bytes already written, at an offset from the start (headers known last).
  void write_at(std::uint64_t offset, std::span<const std::byte> data);
  std::uint64_t size() const { return size_; }
  void commit();

 private:
  std::string path_;
  std::string temporary_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

// A folder filled under a temporary name beside PATH and renamed to PATH at commit().
// With force an existing PATH is replaced at commit(); without, construction fails (output error).
class StagedFolder {
 public:
  StagedFolder(std::string path, bool force);
  ~StagedFolder();
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  const std::string& path() const { return temporary_; }  // where to write
  void commit();

 private:
  std::string path_;
  std::string temporary_;
  bool committed_ = false;
};

// Renames a folder whose files are synced; with `replace` in place of the one that is there. Errors: output.
void move_folder(const std::string& from, const std::string& to, bool replace);

// A read-only memory-mapped file. Errors: input.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  // The pages that lie wholly in `bytes` leave this process's memory; a later read brings them back.
  void release(std::span<const std::byte> bytes) const;

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Errors: input.
std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view text);  // through AtomicFile

// False, and nothing changed, when PATH exists: of several processes one writes it. Errors: output.
bool write_file_once(const std::string& path, std::string_view text);

// Fails (output error) when PATH exists and force is false, or its parent folder is missing or not writable.
void check_output_path(const std::string& path, bool force);

// The message of errno for this file: "PATH: No such file or directory".
std::string errno_message(const std::string& path, int error);

}  // namespace blt
