// SPDX-License-Identifier: MIT
#include "blt/base/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>

#include "blt/base/error.h"

namespace blt {
namespace {

constexpr std::chrono::seconds patience{2};
constexpr int most_of_time = 20;  // one part in so many

std::uintptr_t address(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }
std::uintptr_t rounded_up(std::uintptr_t x) { return (x + huge_page - 1) / huge_page * huge_page; }

// The number of kB in a line "Name:  123 kB" of a file of /proc, or 0.
std::size_t kilobytes(const std::string& line, std::string_view name) {
  if (!line.starts_with(name)) return 0;
  const std::size_t at = line.find_first_of("0123456789", name.size());
  std::size_t value = 0;
  if (at != line.npos) std::from_chars(line.data() + at, line.data() + line.size(), value);
  return value;
}

std::size_t available_memory() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (const auto kb = kilobytes(line, "MemAvailable:")) return kb * 1024;
  }
  return 0;
}

bool system_has_huge_pages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  return std::getline(file, line) && line.find("[never]") == line.npos;
}

}  // namespace

void prefer_huge_pages(const void* data, std::size_t bytes) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t begin = address(data) / page * page, end = (address(data) + bytes + page - 1) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

void PageMover::add(std::span<const std::byte> bytes) { parts_.push_back(bytes); }

// Of what lies in memory, most is not yet in huge pages, and a copy leaves enough.
bool PageMover::worthwhile() const {
  std::size_t size = 0, resident = 0, huge = 0;
  for (const Range& range : left_) size += static_cast<std::size_t>(range.end - range.begin);
  if (size == 0 || !system_has_huge_pages() || available_memory() < 2 * size) return false;
  std::ifstream file("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    std::uintptr_t begin = 0, end = 0;
    const auto first = std::from_chars(line.data(), line.data() + line.size(), begin, 16);
    if (first.ec == std::errc() && first.ptr < line.data() + line.size() && *first.ptr == '-') {
      std::from_chars(first.ptr + 1, line.data() + line.size(), end, 16);
      inside = std::any_of(left_.begin(), left_.end(), [&](const Range& r) { return begin < address(r.end) && address(r.begin) < end; });
    } else if (inside) {
      resident += kilobytes(line, "Rss:");
      huge += kilobytes(line, "FilePmdMapped:");
    }
  }
  return 2 * huge < resident;
}

void PageMover::choose() {
  chosen_ = true;
  std::sort(parts_.begin(), parts_.end(), [](const auto& a, const auto& b) { return address(a.data()) < address(b.data()); });
  for (std::size_t i = 0; i < parts_.size();) {
    const std::uintptr_t first = address(parts_[i].data());
    std::uintptr_t last = first;
    for (; i < parts_.size() && address(parts_[i].data()) <= last; ++i) last = std::max(last, address(parts_[i].data()) + parts_[i].size());
    const std::uintptr_t begin = rounded_up(first), end = last / huge_page * huge_page;
    if (begin < end) left_.push_back({reinterpret_cast<std::byte*>(begin), reinterpret_cast<std::byte*>(end)});
  }
  if (!worthwhile()) left_.clear();
}

void PageMover::move() {
  const std::lock_guard lock(mutex_);
  const Clock::time_point start = Clock::now();
  if (begun_ == Clock::time_point{}) begun_ = start;
  if (start - begun_ < patience || (chosen_ && left_.empty()) || spent_ > (start - begun_) / most_of_time) return;
  if (!chosen_) choose();
  if (!left_.empty()) move_piece();
  spent_ += Clock::now() - start;
}

void PageMover::finish() {
  const std::lock_guard lock(mutex_);
  if (!chosen_) choose();
  while (!left_.empty()) move_piece();
}

void PageMover::move_piece() {
  Range& range = left_.back();
  const std::size_t size = std::min(2 * huge_page, static_cast<std::size_t>(range.end - range.begin));
  const std::size_t room = size + huge_page;
  void* memory = ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return left_.clear();
  auto* begin = static_cast<std::byte*>(memory);
  auto* copy = reinterpret_cast<std::byte*>(rounded_up(address(memory)));
  if (copy > begin) ::munmap(begin, static_cast<std::size_t>(copy - begin));
  if (copy + size < begin + room) ::munmap(copy + size, static_cast<std::size_t>(begin + room - copy) - size);
  prefer_huge_pages(copy, size);
  std::memcpy(copy, range.begin, size);
  ::mprotect(copy, size, PROT_READ);
  // To other threads one step: whoever reads there waits until it is over.
  if (::mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, range.begin) == MAP_FAILED) {
    throw resource_error("no memory to move weights to huge pages");
  }
  moved_ += size;
  range.begin += size;
  if (range.begin == range.end) left_.pop_back();
}

}  // namespace blt
