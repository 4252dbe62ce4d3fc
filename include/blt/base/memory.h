// SPDX-License-Identifier: MIT
// Memory that is read from end to end again and again: weights, and what attention keeps.
#pragma once

#include <cstddef>

namespace blt {

inline constexpr std::size_t huge_page = std::size_t{1} << 21;

// Asks for pages of 2 MiB there, which one thread reads some 10 % faster than pages of 4 KiB (docs/results.md). A system that has
// none goes on as before. Of a file, what comes from the disk from now on comes in such pages.
void prefer_huge_pages(const void* data, std::size_t bytes);

}  // namespace blt
