// SPDX-License-Identifier: MIT
// Pages of 2 MiB for memory that is read from end to end again and again. One thread reads them 10 to 30 % faster than pages of
// 4 KiB (docs/results.md).
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <span>
#include <vector>

namespace blt {

inline constexpr std::size_t huge_page = std::size_t{1} << 21;

// Asks for huge pages there; a system that has none goes on as before. Of a file, what comes from the disk from now on lies in them.
void prefer_huge_pages(const void* data, std::size_t bytes);

// Copies parts of mapped files into huge pages, piece by piece, and puts the copy where the file was: addresses and contents stay,
// and other threads may read all the while. Nothing is copied where the file lies in huge pages already, where the system has none,
// or where memory is short. For files that are mapped read-only until this object is gone; MappedFile::release() would take the
// copy away and is not for what was added.
class PageMover {
 public:
  void add(std::span<const std::byte> bytes);
  // Moves the next 4 MiB if that keeps all moving below a twentieth of the time since the first call, and not in the first two
  // seconds: new memory can cost much, above all on a virtual machine. Errors: resource.
  void move();
  // Moves all that is left. What is added should have been read once before. Errors: resource.
  void finish();
  std::size_t moved() const { return moved_; }  // bytes

 private:
  struct Range {
    std::byte *begin, *end;  // whole huge pages
  };
  using Clock = std::chrono::steady_clock;
  void choose();
  bool worthwhile() const;
  void move_piece();

  std::mutex mutex_;
  std::vector<std::span<const std::byte>> parts_;
  std::vector<Range> left_;
  bool chosen_ = false;
  Clock::time_point begun_{};
  Clock::duration spent_{};
  std::size_t moved_ = 0;
};

}  // namespace blt
