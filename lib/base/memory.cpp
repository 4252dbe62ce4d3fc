// SPDX-License-Identifier: MIT
#include "blt/base/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace blt {

void prefer_huge_pages(const void* data, std::size_t bytes) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const std::uintptr_t begin = address / page * page, end = (address + bytes + page - 1) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

}  // namespace blt
